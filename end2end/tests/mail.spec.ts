// Mail, through a real SMTP server (smtp-server.mjs, started by tools/bed/e2e.sh): links that arrive are opened, and what
// no server takes is shown to operators.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { expect, type Page, test, type TestInfo } from "@playwright/test";
import { expectAccessible, expectNoSideScroll } from "./accessibility";
import { BASE, home, newName, operatorSignIn, PASSWORD, signUp } from "./steps";

const NEW_PASSWORD = "another horse with batteries";
/** Whom the SMTP server refuses. tools/bed/e2e.sh has it too. */
const REFUSED = "refused@example.org";

type Mail = { to: string[]; text: string };

/** Returns the texts of the mails that the SMTP server took for an address, the oldest first. */
function mailsTo(address: string) {
  const lines = readFileSync(process.env.MALIKNODE_MAILS!, "utf8").split("\n");
  // The last line may be incomplete, and the first one is the port.
  const mails: Mail[] = lines.slice(1, -1).map((line) => JSON.parse(line));
  return mails.filter((mail) => mail.to.includes(address)).map((mail) => plainText(mail.text));
}

/** Returns a mail's plain text as a mail program shows it. */
function plainText(raw: string) {
  const script = `
import email, sys
parts = email.message_from_string(sys.stdin.read()).walk()
text = next(part for part in parts if part.get_content_type() == "text/plain")
print(text.get_payload(decode=True).decode())`;
  return execFileSync("python3", ["-c", script], { input: raw, encoding: "utf8" });
}

/** Waits for the mail after `seen` ones to an address and returns the link in it. */
async function nextLink(address: string, page: string, seen: number) {
  await expect.poll(() => mailsTo(address).length, `a mail to ${address}`).toBeGreaterThan(seen);
  const links = mailsTo(address).slice(seen).join("\n").match(/http\S+token=\S+/g) ?? [];
  const link = links.find((l) => l.includes(`/${page}?`));
  expect(link, `a link to /${page}`).toBeTruthy();
  return link!;
}

async function check(page: Page, info: TestInfo, what: string) {
  if (info.project.use.javaScriptEnabled === false) return;
  await expectAccessible(page, what);
  await expectNoSideScroll(page, what);
}

test("an address is verified and a forgotten password replaced @phone @nojs", async ({ page }, info) => {
  const name = newName("post");
  const address = `${name}@example.org`;
  await signUp(page, name);
  await page.goto(`${home(name)}/account/mail`);
  await page.getByLabel("New address").fill(address);
  await page.getByRole("button", { name: "Send a link there" }).click();
  await expect(page.getByText("A link was sent to the address.")).toBeVisible();
  await expect(page.getByText("Not confirmed")).toBeVisible();
  await check(page, info, "mail address");

  const verify = await nextLink(address, "verify-mail", 0);
  expect(new URL(verify).origin, "on the tenant's own host").toBe(home(name));
  await page.goto(verify);
  // The token is not left in the history.
  await expect(page).toHaveURL(`${home(name)}/verify-mail`);
  await expect(page.getByText(address)).toBeVisible();
  await page.getByRole("button", { name: "Yes, it is mine" }).click();
  await expect(page.getByRole("heading", { name: "The address is confirmed" })).toBeVisible();
  await page.goto(verify);
  await expect(page.getByRole("heading", { name: "This link is over" })).toBeVisible();
  await page.goto(`${home(name)}/account/mail`);
  await expect(page.getByText("In use")).toBeVisible();

  await page.getByRole("button", { name: "Sign out" }).first().click();
  await page.goto(`${BASE}/sign-in`);
  await page.getByRole("link", { name: "Forgot your password?" }).click();
  await page.getByRole("link", { name: "Get a link by mail" }).click();
  const seen = mailsTo(address).length;
  await page.getByLabel("Name").fill(name);
  await page.getByRole("button", { name: "Send me a link" }).click();
  await expect(page.getByText("If there is such an account")).toBeVisible();

  const reset = await nextLink(address, "reset", seen);
  await page.goto(reset);
  await page.getByLabel("New password").fill(NEW_PASSWORD);
  await page.getByRole("button", { name: "Set the new password" }).click();
  await expect(page.getByText("Your new password is set.")).toBeVisible();
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page.getByText(/is wrong|do not belong together/).first()).toBeVisible();
  await page.getByLabel("Password", { exact: true }).fill(NEW_PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();
  await expect.poll(() => mailsTo(address).join("\n"), "the change is told").toContain("The password was changed.");
});

test("the address of a sign-up gets a link", async ({ page }) => {
  const name = newName("early");
  await page.goto(`${BASE}/sign-up?name=${name}`);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByLabel("Mail address (optional)").fill(`${name}@example.org`);
  await page.getByRole("button", { name: "Make my network" }).click();
  await page.waitForURL(`${home(name)}/progress**`);
  await page.goto(await nextLink(`${name}@example.org`, "verify-mail", 0));
  await page.getByRole("button", { name: "Yes, it is mine" }).click();
  await expect(page.getByRole("heading", { name: "The address is confirmed" })).toBeVisible();
});

test("an operator sees refused mail and discards it @phone @nojs", async ({ page, browser }, info) => {
  const tenant = await (await browser.newContext()).newPage();
  const name = newName("lost");
  await signUp(tenant, name);
  await tenant.goto(`${home(name)}/account/mail`);
  await tenant.getByLabel("New address").fill(REFUSED);
  await tenant.getByRole("button", { name: "Send a link there" }).click();
  await expect(tenant.getByText("A link was sent to the address.")).toBeVisible();
  await tenant.context().close();

  await operatorSignIn(page);
  const row = page.getByRole("row", { name: new RegExp(REFUSED) });
  await expect(async () => {
    await page.goto(`${home("admin")}/mail`);
    await expect(row).toContainText("no such mailbox", { timeout: 1_000 });
  }).toPass();
  await expect(row).toContainText("Given up");
  await expect(page.locator("body")).not.toContainText("token=");
  await check(page, info, "outbox");
  await row.getByRole("button", { name: /^Try now/ }).click();
  await expect(page.getByText("The mail is tried now.")).toBeVisible();
  await expect(async () => {
    await page.goto(`${home("admin")}/mail`);
    await expect(row).toContainText("Given up", { timeout: 1_000 });
  }).toPass();
  await row.getByText("Discard …").click();
  await row.getByRole("button", { name: /^Discard: / }).click();
  await expect(page.getByText("The mail is removed.")).toBeVisible();
  await expect(page.getByText("Nothing waits")).toBeVisible();
  await check(page, info, "empty outbox");
});
