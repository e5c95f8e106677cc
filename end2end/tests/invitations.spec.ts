// Who may sign up: invitations with their links, closed sign-ups, reserved names.
import { expect, type Page, test } from "@playwright/test";
import { expectAccessible, expectNoSideScroll } from "./accessibility";
import { BASE, home, newName, operatorSignIn, PASSWORD } from "./steps";

const ADMIN = home("admin");

/** Makes an invitation by the form and returns its link. */
async function invite(page: Page, note: string, fields: Record<string, string> = {}) {
  await page.goto(`${ADMIN}/sign-ups`);
  await page.getByLabel("Note", { exact: true }).fill(note);
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value);
  await page.getByRole("button", { name: "Make an invitation" }).click();
  const link = await page.getByLabel("The link").innerText();
  expect(link.trim()).toMatch(/\/sign-up\?invitation=[\w-]{32}$/);
  return link.trim();
}

/** Sets who may sign up. Every test leaves it as configured. */
async function setMode(page: Page, mode: string) {
  await page.goto(`${ADMIN}/sign-ups`);
  await page.getByRole("radio", { name: new RegExp(`^${mode}`) }).check();
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("radio", { name: new RegExp(`^${mode}`) })).toBeChecked();
}

test("an invitation signs one tenant up, and what was typed stays @nojs", async ({ page, browser, javaScriptEnabled }) => {
  await operatorSignIn(page);
  const note = newName("note");
  const link = await invite(page, note);
  await page.goto(`${ADMIN}/sign-ups`);
  await expect(page.getByLabel("The link"), "it is shown once").toHaveCount(0);
  await setMode(page, "By invitation");
  try {
    const open = async () => (await browser.newContext({ javaScriptEnabled })).newPage();
    const [first, second] = [await open(), await open()];
    for (const visitor of [first, second]) {
      await visitor.goto(link);
      await expect(visitor.getByLabel("Invitation", { exact: true })).toHaveValue(new URL(link).searchParams.get("invitation")!);
    }
    const fill = async (visitor: Page, name: string) => {
      await visitor.getByLabel("Name", { exact: true }).fill(name);
      await visitor.getByLabel("Password", { exact: true }).fill(PASSWORD);
      await visitor.getByRole("radio", { name: /^Studio/ }).check();
      await visitor.getByRole("button", { name: "Make my network" }).click();
    };
    const [one, two] = [newName("guest"), newName("guest")];
    await fill(first, one);
    await first.waitForURL(`${home(one)}/progress**`);

    // Used up while the other form was open.
    await fill(second, two);
    await expect(second.getByText(/was used as often as it may be/)).toBeVisible();
    await expect(second.getByLabel("Name", { exact: true })).toHaveValue(two);
    await expect(second.getByRole("radio", { name: /^Studio/ })).toBeChecked();
    if (javaScriptEnabled) await expect(second.getByLabel("Password", { exact: true })).toHaveValue(PASSWORD);

    // Another invitation, typed into the same form, lets it through.
    const other = await invite(page, note, { Uses: "2" });
    await second.getByLabel("Invitation", { exact: true }).fill(new URL(other).searchParams.get("invitation")!);
    await second.getByLabel("Password", { exact: true }).fill(PASSWORD);
    await second.getByRole("button", { name: "Make my network" }).click();
    await second.waitForURL(`${home(two)}/progress**`);

    await page.goto(`${ADMIN}/sign-ups`);
    const rows = page.getByRole("row").filter({ hasText: note });
    await expect(rows.filter({ hasText: "1 of 2" })).toContainText("Open");
    await expect(rows.filter({ hasText: "0 of 1" })).toContainText("Used up");
    await rows.filter({ hasText: "1 of 2" }).getByRole("button", { name: /^Revoke invitation/ }).click();
    await expect(rows.filter({ hasText: "1 of 2" })).toContainText("Revoked");
    await first.goto(other);
    await expect(first.getByText(/was withdrawn|is not valid any more/)).toBeVisible();
  } finally {
    await setMode(page, "As configured");
  }
});

test("closed sign-ups have no form @nojs", async ({ page, browser, javaScriptEnabled }) => {
  await operatorSignIn(page);
  await setMode(page, "Closed");
  try {
    const visitor = await (await browser.newContext()).newPage();
    await visitor.goto(`${BASE}/`);
    await expect(visitor.getByText("Sign-ups are closed.").first()).toBeVisible();
    await expect(visitor.getByRole("button", { name: "Take this name" })).toHaveCount(0);
    await visitor.goto(`${BASE}/sign-up`);
    await expect(visitor.getByRole("heading", { name: "Sign-ups are closed" })).toBeVisible();
    await expect(visitor.getByRole("textbox")).toHaveCount(0);
    // The check is a script.
    if (javaScriptEnabled) await expectAccessible(visitor, "closed sign-ups");
  } finally {
    await setMode(page, "As configured");
  }
});

test("reserved names are refused at the sign-up @phone", async ({ page, browser }) => {
  await operatorSignIn(page);
  const name = newName("held");
  await page.goto(`${ADMIN}/sign-ups`);
  await page.getByLabel("Reserve names").fill(name);
  await page.getByRole("button", { name: "Reserve", exact: true }).click();
  await expect(page.getByRole("button", { name: `Release ${name}` })).toBeVisible();
  await expectAccessible(page, "sign-ups");
  await expectNoSideScroll(page, "sign-ups");
  const visitor = await (await browser.newContext()).newPage();
  await visitor.goto(`${BASE}/sign-up?name=${name}`);
  await expect(visitor.getByText(/is reserved/)).toBeVisible();
  await page.getByRole("button", { name: `Release ${name}` }).click();
  await visitor.reload();
  await expect(visitor.getByText(`${name} is free`)).toBeVisible();
});
