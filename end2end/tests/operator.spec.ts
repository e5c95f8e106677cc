// The first operator is made by the link that the first start printed, signs in, and suspends tenants.
import { expect, test } from "@playwright/test";
import { home, makeOperator, newName, operatorSignIn, signUp } from "./steps";

test("the operator suspends and resumes a tenant", async ({ page, browser }) => {
  const name = newName("paid");
  const tenant = await (await browser.newContext()).newPage();
  await signUp(tenant, name);

  await makeOperator(page);
  await page.goto(`${home("admin")}/`);
  await expect(page).toHaveURL(/\/sign-in/);
  await page.getByLabel("Name").fill("admin");
  await page.getByLabel("Password", { exact: true }).fill("not the password");
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page.getByText("do not belong together")).toBeVisible();
  await operatorSignIn(page);

  const row = page.getByRole("row", { name: new RegExp(name) }).first();
  await expect(row).toContainText("All well");
  await row.getByRole("button", { name: /Suspend/ }).click();
  await expect(row).toContainText("Suspended");
  await tenant.goto(`${home(name)}/`);
  await expect(tenant.getByText("suspended").first()).toBeVisible();
  await row.getByRole("button", { name: /Resume/ }).click();
  await tenant.goto(`${home(name)}/`);
  await expect(tenant.getByText("Tunnel up · DNS answering")).toBeVisible({ timeout: 30_000 });
  await expect(page.getByText("tenant.suspend").first()).toBeVisible();
});

test("an unknown host has an error page @nojs", async ({ page }) => {
  const answer = await page.goto(home("not.a-tenant"));
  expect(answer?.status()).toBe(421);
  await expect(page.getByRole("heading").first()).toBeVisible();
});
