// What protects an account: password, second step, recovery codes, sessions, API tokens, the operator's reset link,
// and the proof of presence before a key is shown again.
import { execFileSync } from "node:child_process";
import { type Browser, expect, type Page, test, type TestInfo } from "@playwright/test";
import { expectAccessible, expectNoSideScroll } from "./accessibility";
import { addDevice, BASE, home, newName, operatorSignIn, PASSWORD, scan, signUp, totp } from "./steps";

const NEW_PASSWORD = "another horse with batteries";

/** Types name and password at the base. */
async function enterPassword(page: Page, name: string, password: string) {
  await page.goto(`${BASE}/sign-in`);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

/** Signs in at the base in another browser of the same kind, and returns its page. */
async function otherBrowser(browser: Browser, info: TestInfo, name: string, password = PASSWORD) {
  const { javaScriptEnabled, viewport } = info.project.use;
  const context = await browser.newContext({ javaScriptEnabled, viewport: viewport ?? undefined });
  const page = await context.newPage();
  await enterPassword(page, name, password);
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();
  return page;
}

async function signOut(page: Page, name: string) {
  await page.goto(`${home(name)}/account`);
  await page.getByRole("main").getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(`${home(name)}/sign-in`);
}

/** Checks a page as it is: no finding of axe, nothing that sticks out. With SHOTS set, it is photographed. */
async function look(page: Page, info: TestInfo, what: string) {
  if (info.project.use.javaScriptEnabled === false) return;
  for (const colorScheme of ["light", "dark"] as const) {
    // Without motion: colours that are on their way to others would be measured.
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await expectAccessible(page, `${what}, ${colorScheme}`);
    if (process.env.SHOTS) {
      await page.screenshot({ path: `${process.env.SHOTS}/${info.project.name}-${what}-${colorScheme}.png`, fullPage: true });
    }
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
  await expectNoSideScroll(page, what);
}

/** Lets the proofs of presence and the keys of a tenant's devices be an hour old. */
function waitAnHour(name: string) {
  const script = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
hour = 3600 * 1000
user = db.execute("SELECT id FROM users WHERE username = ?", (sys.argv[2],)).fetchone()[0]
db.execute("UPDATE sessions SET present_at = present_at - ? WHERE user_id = ?", (hour, user))
db.execute("UPDATE peers SET created_at = created_at - ?, key_made_at = key_made_at - ? WHERE user_id = ?", (hour, hour, user))
db.commit()`;
  const database = `${process.env.MALIKNODE_BED_DIR}/root/central_api/database.sqlite`;
  execFileSync("python3", ["-c", script, database, name]);
}

test("a changed password ends other sessions @phone @nojs", async ({ page, browser }, info) => {
  const name = newName("pass");
  await signUp(page, name);
  const other = await otherBrowser(browser, info, name);

  await page.goto(`${home(name)}/account`);
  await look(page, info, "account");
  await page.getByRole("link", { name: "Password: Change" }).click();
  await look(page, info, "password");
  await page.getByLabel("Present password").fill("not the password");
  await page.getByLabel("New password").fill(NEW_PASSWORD);
  await page.getByRole("button", { name: "Change the password" }).click();
  await expect(page.locator("#password-note")).toContainText("⚠");
  if (info.project.use.javaScriptEnabled !== false) {
    await expect(page.getByLabel("New password"), "what was typed stays").toHaveValue(NEW_PASSWORD);
  }
  await page.getByLabel("Present password").fill(PASSWORD);
  await page.getByLabel("New password").fill(NEW_PASSWORD);
  await page.getByRole("button", { name: "Change the password" }).click();
  await expect(page.getByText("The password is changed.")).toBeVisible();

  await other.goto(`${home(name)}/devices`);
  await expect(other).toHaveURL(`${home(name)}/sign-in`);
  await other.getByLabel("Password", { exact: true }).fill(NEW_PASSWORD);
  await other.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(other.getByRole("heading", { name: "Overview" })).toBeVisible();
  await other.context().close();
});

test("a code works once and a recovery code replaces it @phone @nojs", async ({ page }, info) => {
  const name = newName("code");
  await signUp(page, name);
  const codes = await page.getByRole("list", { name: "Recovery codes" }).getByRole("listitem").allInnerTexts();
  expect(codes).toHaveLength(10);
  await look(page, info, "progress");
  await page.getByRole("button", { name: "I have saved them" }).click();
  await expect(page).toHaveURL(/\/devices\/new/);
  await page.goto(`${home(name)}/account/recovery-codes`);
  await expect(page.getByText(codes[0].trim()), "they are shown once").toHaveCount(0);
  await look(page, info, "recovery-codes");

  await page.goto(`${home(name)}/account`);
  await page.getByRole("link", { name: "Two-step sign-in: Set up" }).click();
  const key = (await page.locator("#totp-key").innerText()).trim();
  expect(await scan(page)).toContain(`secret=${key.replaceAll(" ", "")}`);
  await look(page, info, "two-step");
  await page.getByLabel("Code that the app shows now").fill("000000");
  await page.getByRole("button", { name: "Switch it on" }).click();
  await expect(page.locator("#code-note")).toContainText("⚠");
  await page.getByLabel("Code that the app shows now").fill(totp(key));
  await page.getByRole("button", { name: "Switch it on" }).click();
  await expect(page.getByText("Two-step sign-in is on.")).toBeVisible();

  await signOut(page, name);
  await enterPassword(page, name, PASSWORD);
  await expect(page).toHaveURL(`${BASE}/sign-in/code`);
  await look(page, info, "second-step");
  const next = totp(key, 1);
  const field = page.getByLabel("Code", { exact: true });
  await field.fill(next);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();

  await signOut(page, name);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page).toHaveURL(`${home(name)}/sign-in/code`);
  await field.fill(next);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page.locator("#code-note"), "a code works once").toContainText("⚠");
  await page.getByRole("link", { name: "Use a recovery code instead" }).click();
  await page.getByLabel("Recovery code").fill(codes[3].trim());
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();
  await page.goto(`${home(name)}/account`);
  await expect(page.getByText("9 left")).toBeVisible();

  await signOut(page, name);
  await page.getByRole("link", { name: "Forgot your password?" }).click();
  await look(page, info, "recover");
  await page.getByLabel("Recovery code").fill(codes[3].trim());
  await page.getByLabel("New password").fill(NEW_PASSWORD);
  await page.getByRole("button", { name: "Set the new password" }).click();
  await expect(page.getByText("⚠").first(), "a recovery code works once").toBeVisible();
  await page.getByLabel("Recovery code").fill(codes[4].trim());
  await page.getByLabel("New password").fill(NEW_PASSWORD);
  await page.getByRole("button", { name: "Set the new password" }).click();
  await expect(page.getByText("Your new password is set.")).toBeVisible();
  await page.getByLabel("Password", { exact: true }).fill(NEW_PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page, "the second step is still asked for").toHaveURL(`${home(name)}/sign-in/code`);
});

test("sessions are listed and ended @phone @nojs", async ({ page, browser }, info) => {
  const name = newName("sess");
  await signUp(page, name);
  const [one, two] = [await otherBrowser(browser, info, name), await otherBrowser(browser, info, name)];
  await page.goto(`${home(name)}/account`);
  const sessions = page.getByRole("region", { name: "Where you are signed in" }).getByRole("listitem");
  await expect(sessions).toHaveCount(3);
  await expect(sessions.filter({ hasText: "This one" })).toHaveCount(1);
  await expect(sessions.first()).toContainText("127.0.0.1");
  await sessions.getByRole("button", { name: /^End the session/ }).first().click();
  await expect(page.getByText("That session has ended.")).toBeVisible();
  await expect(sessions).toHaveCount(2);
  const signedOut = async () => {
    const ended = [];
    for (const other of [one, two]) {
      await other.goto(`${home(name)}/devices`);
      if (other.url().includes("/sign-in")) ended.push(other);
    }
    return ended.length;
  };
  expect(await signedOut()).toBe(1);
  await page.getByRole("button", { name: "End all others" }).click();
  await expect(page.getByText("All other sessions have ended.")).toBeVisible();
  await expect(sessions).toHaveCount(1);
  expect(await signedOut()).toBe(2);
  await page.goto(`${home(name)}/devices`);
  await expect(page.getByRole("heading", { name: "Devices", level: 1 })).toBeVisible();
  for (const other of [one, two]) await other.context().close();
});

test("an API token is shown once @phone @nojs", async ({ page }, info) => {
  const name = newName("token");
  await signUp(page, name);
  await page.goto(`${home(name)}/account`);
  await page.getByRole("link", { name: "Make a token" }).click();
  await look(page, info, "new-token");
  await page.getByRole("textbox", { name: "Name" }).fill("Backup script");
  await page.getByText("Read and change", { exact: true }).click();
  await page.getByRole("button", { name: "Make the token" }).click();
  const token = (await page.locator("#token").innerText()).trim();
  expect(token.length).toBeGreaterThan(20);
  await look(page, info, "token");
  await page.goto(`${home(name)}/account/tokens/new`);
  await expect(page.getByText(token)).toHaveCount(0);
  await page.goto(`${home(name)}/account`);
  const row = page.getByRole("region", { name: "API tokens" }).getByRole("listitem");
  await expect(row).toContainText("Backup script");
  await expect(row).toContainText("not used yet");
  await row.getByRole("button", { name: "Delete the token Backup script" }).click();
  await expect(page.getByText("The token is deleted.")).toBeVisible();
  await expect(row).toHaveCount(0);
});

test("a key is shown again after a proof of presence @phone @nojs", async ({ page }, info) => {
  const name = newName("proof");
  await signUp(page, name);
  const id = await addDevice(page, name, "Phone");
  const first = await scan(page);
  waitAnHour(name);
  await page.goto(`${home(name)}/devices/${id}`);
  await expect(page.getByRole("img", { name: /QR code/ })).toHaveCount(0);
  await look(page, info, "locked-device");
  await page.goto(`${home(name)}/devices/${id}/config`);
  await expect(page, "the file is not given either").toHaveURL(`${home(name)}/devices/${id}`);
  await page.getByLabel("Your password").fill(PASSWORD);
  await page.getByRole("button", { name: "Show the code" }).click();
  await expect(page.getByRole("img", { name: /QR code/ })).toBeVisible();
  expect(await scan(page)).toBe(first);

  waitAnHour(name);
  await page.goto(`${home(name)}/devices/${id}`);
  await page.getByRole("button", { name: "Make a new key" }).click();
  await expect(page.getByText("The device has a new key.")).toBeVisible();
  const second = await scan(page);
  expect(second).not.toBe(first);
  expect(second.match(/Address = .*/)![0]).toBe(first.match(/Address = .*/)![0]);

  waitAnHour(name);
  await page.goto(`${home(name)}/account/recovery-codes`);
  await page.getByRole("button", { name: "I have saved them" }).click();
  await page.goto(`${home(name)}/account/recovery-codes`);
  await page.getByRole("button", { name: "Make new recovery codes" }).click();
  await expect(page.getByRole("heading", { name: "Is it you?" })).toBeVisible();
  await look(page, info, "confirm");
  await page.getByLabel("Your password").fill(PASSWORD);
  await page.getByRole("button", { name: "Make new recovery codes" }).click();
  await expect(page.getByRole("list", { name: "Recovery codes" }).getByRole("listitem")).toHaveCount(10);
});

test("the operator's link sets a new password once @phone @nojs", async ({ page, browser }, info) => {
  const name = newName("lost");
  await signUp(page, name);
  const { javaScriptEnabled, viewport } = info.project.use;
  const context = await browser.newContext({ javaScriptEnabled, viewport: viewport ?? undefined });
  const operator = await context.newPage();
  await operatorSignIn(operator);
  await operator.goto(`${home("admin")}/?q=${name}`);
  await operator.getByRole("link", { name: `New password for ${name}` }).click();
  await look(operator, info, "make-reset-link");
  await operator.getByRole("button", { name: "Make the link" }).click();
  const link = (await operator.locator("#link").innerText()).trim();
  await look(operator, info, "reset-link");

  const lost = await (await browser.newContext({ javaScriptEnabled, viewport: viewport ?? undefined })).newPage();
  await lost.goto(link);
  await expect(lost, "the token leaves the address").toHaveURL(`${home(name)}/reset`);
  await look(lost, info, "reset");
  await lost.getByLabel("New password").fill("short");
  await lost.getByRole("button", { name: "Set the new password" }).click();
  await expect(lost.locator("#new_password-note")).toContainText("⚠");
  await lost.getByLabel("New password").fill(NEW_PASSWORD);
  await lost.getByRole("button", { name: "Set the new password" }).click();
  await expect(lost.getByText("Your new password is set.")).toBeVisible();
  await lost.getByLabel("Password", { exact: true }).fill(NEW_PASSWORD);
  await lost.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(lost.getByRole("heading", { name: "Overview" })).toBeVisible();
  await page.goto(`${home(name)}/devices`);
  await expect(page, "who was signed in is signed out").toHaveURL(`${home(name)}/sign-in`);
  await lost.goto(link);
  await expect(lost.getByRole("heading", { name: "This link is over" })).toBeVisible();

  await operator.goto(`${home("admin")}/account`);
  await look(operator, info, "operator-account");
  for (const other of [operator, lost]) await other.context().close();
});
