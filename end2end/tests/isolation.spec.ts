// Two tenants on one server: each sees their own data and nothing of the other's.
import { expect, test } from "@playwright/test";
import { addDevice, home, newName, signUp } from "./steps";

test("a tenant cannot see or change another's devices", async ({ browser }) => {
  const [anna, ben] = [newName("anna"), newName("ben")];
  const [pageA, pageB] = await Promise.all([browser.newContext(), browser.newContext()]).then((all) =>
    Promise.all(all.map((c) => c.newPage())),
  );
  await Promise.all([signUp(pageA, anna), signUp(pageB, ben)]);
  const id = await addDevice(pageA, anna, "Anna's phone");
  await addDevice(pageB, ben, "Ben's phone");

  await pageB.goto(`${home(ben)}/`);
  await expect(pageB.getByRole("link", { name: "Ben's phone", exact: true }).first()).toBeVisible();
  await expect(pageB.getByText("Anna's phone")).toHaveCount(0);

  // Another tenant's device does not exist on the own host.
  const answer = await pageB.goto(`${home(ben)}/devices/${id}`);
  expect(answer?.status()).toBe(404);
  // Another tenant's host asks for a sign-in.
  await pageB.goto(`${home(anna)}/`);
  await expect(pageB).toHaveURL(/\/sign-in/);

  // A change sent from another tenant's page is refused before it is read.
  await pageB.goto(`${home(ben)}/`);
  const refused = await pageB.evaluate(async (url) => {
    const body = new URLSearchParams({ id: "1" });
    // The answer cannot be read across origins; the test is that the device remains.
    await fetch(url, { method: "POST", body, mode: "no-cors", credentials: "include" }).catch(() => undefined);
    return true;
  }, `${home(anna)}/do/delete_device`);
  expect(refused).toBe(true);
  await pageA.goto(`${home(anna)}/devices/${id}`);
  await expect(pageA.getByRole("heading", { name: "Anna's phone" })).toBeVisible();
});

test("a change appears on other open pages", async ({ page, context }) => {
  const name = newName("live");
  await signUp(page, name);
  await page.goto(`${home(name)}/`);
  await expect(page.getByText("No device yet")).toBeVisible();
  const other = await context.newPage();
  await addDevice(other, name, "Fresh one");
  await expect(page.getByRole("link", { name: "Fresh one", exact: true }).first()).toBeVisible();
});

test("a device is changed, and deleted after confirmation @nojs", async ({ page }) => {
  const name = newName("edit");
  await signUp(page, name);
  const id = await addDevice(page, name, "Old label");
  await page.goto(`${home(name)}/devices/${id}`);
  await page.getByRole("textbox", { name: "Label" }).fill("New label");
  await page.getByLabel("DNS policy").selectOption("family");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("heading", { name: "New label" })).toBeVisible();
  await expect(page.getByLabel("DNS policy")).toHaveValue("family");
  await page.goto(`${home(name)}/devices/${id}/delete`);
  await expect(page.getByText("New label").first()).toBeVisible();
  await page.getByRole("button", { name: /Delete/ }).click();
  await expect(page).not.toHaveURL(/delete/);
  expect((await page.goto(`${home(name)}/devices/${id}`))?.status()).toBe(404);
});
