// The steps that the specs share.
import { readFileSync } from "node:fs";
import { expect, type Page } from "@playwright/test";
import jsQR from "jsqr";
import { PNG } from "pngjs";

export const BASE = process.env.BASE ?? "http://localhost:8085";
const { host } = new URL(BASE);
export const PASSWORD = "correct horse battery staple";

/** Returns a tenant's own origin. */
export const home = (name: string) => `http://${name}.${host}`;

let count = 0;
/** Returns an unused name; every test has its own tenants. */
export const newName = (stem: string) => `${stem}-${process.pid}-${(count += 1)}`;

/** Signs up from the landing page and waits until the network is ready. */
export async function signUp(page: Page, name: string) {
  await page.goto(`${BASE}/`);
  await page.getByLabel("Name").fill(name);
  await page.getByRole("button", { name: "Take this name" }).click();
  await expect(page).toHaveURL(/\/sign-up\?name=/);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Make my network" }).click();
  await page.waitForURL(`${home(name)}/progress**`);
  await expect(page.getByRole("link", { name: "Add your first device" })).toBeVisible({ timeout: 30_000 });
}

/** Adds a device by the form, ends on its page and returns its id. */
export async function addDevice(page: Page, name: string, label: string) {
  await page.goto(`${home(name)}/devices/new`);
  await page.getByRole("textbox", { name: "Label" }).fill(label);
  await page.getByRole("button", { name: "Add device" }).click();
  await page.waitForURL(/\/devices\/\d+/);
  return new URL(page.url()).pathname.split("/")[2];
}

/** Returns the text that a phone's camera would read from the screen. */
export async function scan(page: Page) {
  const shot = await page.getByRole("img", { name: /QR code/ }).screenshot({ scale: "css" });
  const png = PNG.sync.read(shot);
  const code = jsQR(new Uint8ClampedArray(png.data), png.width, png.height);
  expect(code, "the code on the screen is readable").not.toBeNull();
  return code!.data;
}

/** Returns the operator's first password, which the first start printed. */
export function operatorPassword() {
  const password = /[a-z2-9]{4}(-[a-z2-9]{4}){3}/.exec(readFileSync(process.env.MALIKNODE_SERVER_LOG!, "utf8"))?.[0];
  expect(password, "the first start prints the operator's password").toBeTruthy();
  return password!;
}

/** Signs the operator in and ends on the operator's home page. */
export async function operatorSignIn(page: Page) {
  await page.goto(`${home("admin")}/sign-in`);
  await page.getByLabel("Name").fill("admin");
  await page.getByLabel("Password").fill(operatorPassword());
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { name: "Home", exact: true })).toBeVisible();
}
