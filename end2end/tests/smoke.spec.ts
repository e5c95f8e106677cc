// From the landing page to a QR code, with and without JavaScript, on a wide screen and on a phone.
import { readFileSync } from "node:fs";
import { expect, test } from "@playwright/test";
import { expectAccessible } from "./accessibility";
import { addDevice, BASE, home, newName, scan, signUp } from "./steps";

test("the QR code of a first device equals its download @phone @nojs", async ({ page }) => {
  const name = newName("lina");
  await signUp(page, name);
  await page.getByRole("link", { name: "Add your first device" }).click();
  await page.getByRole("textbox", { name: "Label" }).fill("My phone");
  await page.getByText("Everything", { exact: true }).click();
  await page.getByRole("button", { name: "Add device" }).click();
  await page.waitForURL(/\/devices\/\d+/);

  const scanned = await scan(page);
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: /Download/ }).click();
  const file = await download;
  expect(file.suggestedFilename()).toBe("my-phone-2.conf");
  const conf = readFileSync(await file.path(), "utf8");
  expect(scanned).toBe(conf);
  expect(conf).toMatch(/^\[Interface\]\nPrivateKey = [A-Za-z0-9+/]{43}=\nAddress = 10\.\d+\.\d+\.2\/32(, [0-9a-f:]+\/128)?\n/);
  expect(conf).toContain("AllowedIPs = 0.0.0.0/0, ::/0");

  await page.goto(`${home(name)}/`);
  await expect(page.getByText("Tunnel up · DNS answering")).toBeVisible();
  await expect(page.getByRole("link", { name: "My phone", exact: true }).first()).toBeVisible();
});

test("a name is checked while it is typed", async ({ page }) => {
  const name = newName("omar");
  await signUp(page, name);
  await page.goto(`${BASE}/sign-up`);
  const field = page.getByLabel("Name");
  await field.pressSequentially(name);
  await expect(page.getByText(`“${name}” is taken`)).toBeVisible();
  await field.fill("admin");
  await expect(page.getByText("is reserved")).toBeVisible();
  await field.fill("a name");
  await expect(page.getByText("letters a to z")).toBeVisible();
  const free = newName("free");
  await field.fill(free);
  await expect(page.getByText(`${free} is free`)).toBeVisible();
});

test("a refused form shows its errors and keeps values @nojs", async ({ page }) => {
  const name = newName("weak");
  await page.goto(`${BASE}/sign-up`);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password", { exact: true }).fill("short");
  await page.getByText("Studio", { exact: true }).click();
  await page.getByRole("button", { name: "Make my network" }).click();
  await expect(page.locator("#password-note")).toContainText(/(12|twelve) characters or more/i);
  await expect(page.getByLabel("Name")).toHaveValue(name);
  await expect(page.getByRole("radio", { name: /Studio/ })).toBeChecked();

  await signUp(page, name);
  await addDevice(page, name, "Laptop");
  await page.goto(`${home(name)}/devices/new`);
  await page.getByRole("textbox", { name: "Label" }).fill("laptop");
  await page.getByText("Only DNS", { exact: true }).click();
  await page.getByRole("button", { name: "Add device" }).click();
  await expect(page.locator("#label-note")).toContainText("label");
  await expect(page.getByRole("textbox", { name: "Label" })).toHaveValue("laptop");
  await expect(page.getByRole("radio", { name: /Only DNS/ })).toBeChecked();
});

test("pages load without console errors", async ({ page }) => {
  const errors: string[] = [];
  page.on("console", (m) => ["error", "warning"].includes(m.type()) && errors.push(m.text()));
  page.on("pageerror", (e) => errors.push(String(e)));
  const name = newName("calm");
  await signUp(page, name);
  const id = await addDevice(page, name, "Tablet");
  for (const path of ["/", "/devices", `/devices/${id}`, "/mesh", "/events", "/account"]) {
    await page.goto(home(name) + path);
    await expect(page.getByRole("heading").first()).toBeVisible();
    await expect(page.locator("main")).toBeVisible();
  }
  expect(errors).toEqual([]);
});

test("an empty event log says so @phone @nojs", async ({ page }) => {
  const name = newName("quiet");
  await signUp(page, name);
  await page.goto(`${home(name)}/`);
  await page.getByRole("link", { name: "Events", exact: true }).click();
  await expect(page).toHaveURL(`${home(name)}/events`);
  await expect(page.getByRole("heading", { name: "Events", exact: true })).toBeVisible();
  await expect(page.getByText("Nothing has happened yet")).toBeVisible();
  await expect(page.getByText("Tunnel up · DNS answering")).toBeVisible();
  const last = await page.getByRole("link", { name: "Account", exact: true }).boundingBox();
  expect(last!.x + last!.width, "the whole navigation fits").toBeLessThanOrEqual(page.viewportSize()!.width);
});

test("a typed password is shown on demand @phone @nojs", async ({ page }, info) => {
  for (const path of [`${BASE}/sign-in`, `${BASE}/sign-up`, `${home("admin")}/sign-in`]) {
    await page.goto(path);
    const field = page.getByLabel("Password", { exact: true });
    const show = page.getByRole("button", { name: "Show password" });
    await field.fill("four words or so");
    await expect(field).toHaveAttribute("type", "password");
    if (info.project.use.javaScriptEnabled === false) {
      await expect(show, "a button that does nothing is not shown").toHaveCount(0);
      continue;
    }
    await expect(show).toHaveAttribute("aria-pressed", "false");
    await expect(show).toHaveAttribute("aria-controls", "password");
    await field.focus();
    await page.keyboard.press("Tab");
    await expect(show, "the keyboard reaches it").toBeFocused();
    await page.keyboard.press("Space");
    await expect(show).toHaveAttribute("aria-pressed", "true");
    await expect(field).toHaveAttribute("type", "text");
    await expect(field).toHaveValue("four words or so");
    await expect(field, "it is sent to no spelling service").toHaveAttribute("spellcheck", "false");
    await expectAccessible(page, path);
    await page.keyboard.press("Space");
    await expect(field).toHaveAttribute("type", "password");
  }
});
