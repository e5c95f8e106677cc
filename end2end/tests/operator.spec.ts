// The operator signs in with the credentials the first start printed, and suspends tenants.
import { expect, test } from "@playwright/test";
import { home, newName, operatorPassword, signUp } from "./steps";

test("the operator suspends and resumes a tenant", async ({ page, browser }) => {
  const name = newName("paid");
  const tenant = await (await browser.newContext()).newPage();
  await signUp(tenant, name);

  await page.goto(`${home("admin")}/`);
  await expect(page).toHaveURL(/\/sign-in/);
  await page.getByLabel("Name").fill("admin");
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByText("do not belong together")).toBeVisible();
  await page.getByLabel("Name").fill("admin");
  await page.getByLabel("Password").fill(operatorPassword());
  await page.getByRole("button", { name: "Sign in" }).click();

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
