// Owners invite operators, each with a role; pages offer what the role may do; the audit log has a filter and is exported.
import { expect, test } from "@playwright/test";
import { home, newName, operatorSignIn, PASSWORD, signUp } from "./steps";

test("an invited operator sees what its role may do", async ({ page, browser }) => {
  const [tenant, name] = [newName("audited"), newName("sam")];
  await signUp(await (await browser.newContext()).newPage(), tenant);
  await operatorSignIn(page);

  await page.goto(`${home("admin")}/operators`);
  const form = page.getByRole("form", { name: "Invite an operator" });
  await form.getByLabel("Name").fill("not a name");
  await form.getByRole("button", { name: "Make a link" }).click();
  await expect(page.getByText("letters, digits and hyphens").first()).toBeVisible();
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("Role", { exact: true }).selectOption("support");
  await page.getByRole("button", { name: "Make a link" }).click();
  const link = await page.getByLabel("The link").innerText();
  await expect(page.getByRole("row", { name: new RegExp(name) })).toContainText("Invited");
  await page.reload();
  await expect(page.getByLabel("The link")).toHaveCount(0);

  const sam = await (await browser.newContext()).newPage();
  await sam.goto(link);
  // The token is not left in the history.
  await expect(sam).toHaveURL(`${home("admin")}/welcome`);
  await expect(sam.getByRole("heading", { name: `Welcome, ${name}` })).toBeVisible();
  await sam.getByLabel("Password", { exact: true }).fill("password");
  await sam.getByRole("button", { name: "Choose this password" }).click();
  await expect(sam.getByText("too easy to guess")).toBeVisible();
  await sam.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await sam.getByRole("button", { name: "Choose this password" }).click();
  await expect(sam).toHaveURL(/\/sign-in/);
  await sam.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await sam.getByRole("button", { name: "Sign in", exact: true }).click();
  const row = sam.getByRole("row", { name: new RegExp(tenant) }).first();
  await expect(row.getByRole("button", { name: /Suspend/ })).toBeVisible();
  await expect(row.getByRole("link", { name: /Delete/ })).toHaveCount(0);
  await sam.goto(`${home("admin")}/plans`);
  await expect(sam.getByRole("link", { name: "New plan" })).toHaveCount(0);
  await sam.goto(`${home("admin")}/plans/new`);
  await expect(sam.getByText("Only an owner may do this.")).toBeVisible();

  // A lowered role is in force with the next request.
  await page.goto(`${home("admin")}/operators`);
  await page.getByLabel(`Role of ${name}`, { exact: true }).selectOption("read-only");
  await page.getByRole("button", { name: `Save the role of ${name}` }).click();
  await sam.goto(`${home("admin")}/`);
  await expect(sam.getByRole("button", { name: /Suspend/ })).toHaveCount(0);
  const own = page.getByRole("row", { name: new RegExp(name) });
  await own.getByText("Remove …").click();
  await own.getByRole("button", { name: `Remove ${name}` }).click();
  await sam.goto(`${home("admin")}/`);
  await expect(sam).toHaveURL(/\/sign-in/);

  await page.goto(`${home("admin")}/audit`);
  await page.getByLabel("What", { exact: true }).fill("operator.role");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await expect(page.getByText("support → read-only").first()).toBeVisible();
  await page.getByLabel("Since").fill("yesterday");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await expect(page.getByText("Write a date such as")).toBeVisible();
  await page.getByRole("link", { name: "Show all" }).click();
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: "CSV" }).click();
  expect((await download).suggestedFilename()).toBe("audit.csv");
});
