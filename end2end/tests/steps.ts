// The steps that the specs share.
import { createHmac } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type BrowserContext, expect, type Page } from "@playwright/test";
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

/** Returns the code of an authenticator app (RFC 6238), `ahead` steps of 30 s from now. */
export function totp(key: string, ahead = 0) {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const bits = [...key.replace(/[\s=]/g, "")].map((c) => alphabet.indexOf(c).toString(2).padStart(5, "0")).join("");
  const bytes = Buffer.from(bits.match(/.{8}/g)!.map((b) => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + ahead));
  const hmac = createHmac("sha1", bytes).update(counter).digest();
  const at = hmac[19] & 15;
  return String((hmac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** What is known of the first operator's second step: the key, and the last step of 30 s whose code was used. */
const operatorFile = `${process.env.MALIKNODE_BED_DIR ?? "/tmp"}/first-operator.json`;
type Operator = { key?: string; used: number; session?: Session };

/** A session of the first operator's, which later tests go on with: a code of its app works once in 30 s. */
type Session = { cookies: Awaited<ReturnType<BrowserContext["cookies"]>>; begun: number };
/** For how long one goes on, in ms. Afterwards acts would ask for the password again. */
const SESSION_TIME = 5 * 60_000;
const step = () => Math.floor(Date.now() / 30_000);

/** The first operator's password; one that exists already has another. */
const OPERATOR_PASSWORD = process.env.MALIKNODE_OPERATOR_PASSWORD ?? PASSWORD;

/** Makes the first operator, `admin`, by the link that the first start printed. Later calls do nothing. */
export async function makeOperator(page: Page) {
  if (existsSync(operatorFile)) return;
  if (process.env.MALIKNODE_OPERATOR_PASSWORD) {
    // The code of this step may have been used before.
    const made: Operator = { key: process.env.MALIKNODE_OPERATOR_KEY, used: step() };
    writeFileSync(operatorFile, JSON.stringify(made));
    return;
  }
  const link = /http\S+\/welcome\?token=\S+/.exec(readFileSync(process.env.MALIKNODE_SERVER_LOG!, "utf8"))?.[0];
  expect(link, "the first start prints the link").toBeTruthy();
  await page.goto(link!);
  await page.getByLabel("Name").fill("admin");
  await page.getByLabel("Password", { exact: true }).fill(OPERATOR_PASSWORD);
  await page.getByRole("button", { name: "Choose this password" }).click();
  await expect(page).toHaveURL(/\/sign-in/);
  writeFileSync(operatorFile, JSON.stringify({ used: 0 } satisfies Operator));
}

/** Returns a code of the first operator that was not used yet; each works once. */
async function operatorCode(page: Page, operator: Operator) {
  const next = Math.max(operator.used + 1, step());
  while (next > step() + 1) await page.waitForTimeout(1_000);
  writeFileSync(operatorFile, JSON.stringify({ ...operator, used: next } satisfies Operator));
  return totp(operator.key!, next - step());
}

/** Goes on with the operator's session, if there is one. Returns whether its home page is open. */
async function continueSession(page: Page, { session }: Operator) {
  if (!session || Date.now() - session.begun > SESSION_TIME) return false;
  await page.context().addCookies(session.cookies);
  await page.goto(`${home("admin")}/`);
  return page.getByRole("heading", { name: "Home", exact: true }).isVisible();
}

/**
 * Signs the operator in, or goes on with a session, and ends on the operator's home page. An owner without a second step
 * sets it up first.
 */
export async function operatorSignIn(page: Page) {
  await makeOperator(page);
  const known: Operator = JSON.parse(readFileSync(operatorFile, "utf8"));
  if (await continueSession(page, known)) return;
  await page.goto(`${home("admin")}/sign-in`);
  await page.getByLabel("Name").fill("admin");
  await page.getByLabel("Password", { exact: true }).fill(OPERATOR_PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page).not.toHaveURL(`${home("admin")}/sign-in`);
  const operator: Operator = { ...known, session: undefined };
  if (page.url().includes("/account/two-step")) {
    operator.key = (await page.locator("#totp-key").innerText()).trim();
    await page.getByLabel("Code that the app shows now").fill(await operatorCode(page, operator));
    await page.getByRole("button", { name: "Switch it on" }).click();
    await page.getByRole("button", { name: "I have saved them" }).click();
    await page.goto(`${home("admin")}/`);
  } else if (page.url().includes("/sign-in/code")) {
    await page.getByLabel("Code", { exact: true }).fill(await operatorCode(page, operator));
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
  }
  await expect(page.getByRole("heading", { name: "Home", exact: true })).toBeVisible();
  const made: Operator = JSON.parse(readFileSync(operatorFile, "utf8"));
  const session = { cookies: await page.context().cookies(home("admin")), begun: Date.now() };
  writeFileSync(operatorFile, JSON.stringify({ ...made, session } satisfies Operator));
}
