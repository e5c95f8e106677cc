// A device's settings and its file: what is changed is in the next download, and on a phone the file comes first.
import { readFileSync } from "node:fs";
import { expect, type Page, test } from "@playwright/test";
import { addDevice, home, newName, scan, signUp } from "./steps";

async function download(page: Page): Promise<{ name: string; conf: string }> {
  const event = page.waitForEvent("download");
  await page.getByRole("link", { name: /Download/ }).click();
  const file = await event;
  return { name: file.suggestedFilename(), conf: readFileSync(await file.path(), "utf8") };
}

const key = (conf: string) => conf.match(/^PrivateKey = (.*)$/m)?.[1];

test("a device's routing and packets are changed, and it keeps its key @phone @nojs", async ({ page }) => {
  const name = newName("lina");
  await signUp(page, name);
  await addDevice(page, name, "Laptop");
  const before = await download(page);
  expect(before.conf).not.toContain("MTU");

  await expect(page.getByRole("radio", { name: /^Everything All traffic/ })).toBeChecked();
  await page.getByText("Everything but the home network", { exact: true }).click();
  await page.getByText("Advanced", { exact: true }).click();
  await page.getByRole("switch", { name: "Small packets" }).check();
  await page.getByRole("switch", { name: "IPv4 only" }).check();
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Download the file again")).toBeVisible();
  // What is on is not folded away.
  await expect(page.getByRole("switch", { name: "Small packets" })).toBeChecked();
  await expect(page.getByRole("radio", { name: /but the home network/ })).toBeChecked();

  const after = await download(page);
  expect(after.name).toBe(before.name);
  expect(key(after.conf)).toBe(key(before.conf));
  expect(after.conf).toContain("\nMTU = 1280\n");
  expect(after.conf).toMatch(/^AllowedIPs = (10\.\d+\.\d+\.0\/24), 0\.0\.0\.0\/5, /m);
  expect(after.conf).not.toMatch(/^AllowedIPs = .*(:|\/0\b)/m);
  expect(await scan(page)).toBe(after.conf);

  // A change that the file does not say needs no new file.
  await page.getByRole("textbox", { name: "Label" }).fill("Desk");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("no new code is needed")).toBeVisible();
});

test("two devices whose labels differ in what no file name has get two files", async ({ page }) => {
  const name = newName("lina");
  await signUp(page, name);
  const names = [];
  for (const label of ["هاتف المكتب", "هاتف البيت"]) {
    await addDevice(page, name, label);
    names.push((await download(page)).name);
  }
  expect(names).toEqual(["device-2.conf", "device-3.conf"]);
});

test.describe("on an Android phone", () => {
  test.use({
    userAgent:
      "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
  });

  test("the file and its steps come before the code @phone @nojs", async ({ page }) => {
    const name = newName("lina");
    await signUp(page, name);
    await addDevice(page, name, "My phone");
    await expect(page.getByRole("radio", { name: "Android" })).toBeChecked();
    const top = async (text: string | RegExp) => (await page.getByText(text).filter({ visible: true }).first().boundingBox())?.y ?? NaN;
    expect(await top("With this page on this phone")).toBeLessThan(await top("With this page on another screen"));
    const button = await page.getByRole("link", { name: /Download/ }).boundingBox();
    const code = await page.getByRole("img", { name: /QR code/ }).boundingBox();
    expect(button?.y).toBeLessThan(code?.y ?? 0);
    await expect(page.getByText("my-phone-2.conf", { exact: true }).filter({ visible: true }).first()).toBeVisible();
  });
});
