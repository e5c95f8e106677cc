// An operator looks in at a tenant from the table of tenants: a banner says so, nothing changes, and it leaves again.
import { expect, test } from "@playwright/test";
import { expectAccessible, expectNoSideScroll } from "./accessibility";
import { addDevice, home, newName, operatorSignIn, signUp } from "./steps";

test("an operator looks in, changes nothing and leaves @phone @nojs", async ({ page, browser, javaScriptEnabled }) => {
  const name = newName("seen");
  const tenant = await (await browser.newContext()).newPage();
  await signUp(tenant, name);
  const device = await addDevice(tenant, name, "Laptop");

  await operatorSignIn(page);
  await page.getByRole("button", { name: `Look in at ${name}`, exact: true }).click();
  await expect(page).toHaveURL(`${home(name)}/`);
  const banner = page.getByRole("complementary", { name: "Looking in" });
  await expect(banner).toContainText(`Operator admin looks in at ${name}`);
  await expect(banner).toContainText("You only read.");
  await expect(page.getByRole("link", { name: "Laptop", exact: true }).first()).toBeVisible();

  // The banner is on every page, and no page shows a key.
  await page.goto(`${home(name)}/devices/${device}`);
  await expect(banner).toBeVisible();
  await expect(page.getByRole("img", { name: /QR code/ })).toHaveCount(0);
  await expectNoSideScroll(page, "a look");
  if (javaScriptEnabled !== false) await expectAccessible(page, "a look");

  await page.getByRole("textbox", { name: "Label" }).fill("Renamed");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  // Without a script the page has the error's code alone, and its general text.
  const refusal = javaScriptEnabled === false ? "You may not do that here." : "Looking in changes nothing.";
  await expect(page.getByText(refusal).first()).toBeVisible();
  await tenant.goto(`${home(name)}/devices`);
  await expect(tenant.getByRole("link", { name: "Laptop", exact: true }).first()).toBeVisible();

  await page.goto(`${home(name)}/`);
  await banner.getByRole("button", { name: "Leave" }).click();
  await expect(page).toHaveURL(new RegExp(`^${home("admin").replaceAll(".", "\\.")}/`));
  await expect(page.getByRole("heading", { name: "Home", exact: true })).toBeVisible();
  await page.goto(`${home(name)}/`);
  await expect(page).toHaveURL(/\/sign-in/);
});
