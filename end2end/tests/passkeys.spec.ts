// Passkeys, with Chromium's virtual authenticator: adding, signing in, another host, the keyboard, removing.
import { expect, test, type Page } from "@playwright/test";
import { home, newName, PASSWORD, signUp } from "./steps";

/** Gives the page's browser a passkey store that says yes. Returns how many passkeys it has. */
async function authenticator(page: Page) {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2",
      transport: "internal",
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return async () => (await cdp.send("WebAuthn.getCredentials", { authenticatorId })).credentials.length;
}

async function signOut(page: Page, name: string) {
  await page.goto(`${home(name)}/account`);
  await page.getByRole("main").getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(/\/sign-in/);
}

async function add(page: Page, name: string) {
  await page.goto(`${home(name)}/account/passkeys`);
  await page.getByRole("textbox", { name: "Name", exact: true }).fill("laptop");
  await page.getByRole("button", { name: "Add a passkey" }).click();
  await expect(page).toHaveURL(/\/account\/(recovery-codes|passkeys)\?saved=passkey/);
}

test("a passkey is added, is the second step, signs in alone and is removed", async ({ page }) => {
  const name = newName("pass");
  const stored = await authenticator(page);
  await signUp(page, name);
  await add(page, name);
  expect(await stored()).toBe(1);

  await signOut(page, name);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
  await expect(page).toHaveURL(/\/sign-in\/code/);
  await page.getByRole("button", { name: "Use a passkey" }).click();
  await expect(page).toHaveURL(`${home(name)}/`);

  await signOut(page, name);
  // By the keyboard alone.
  await page.getByRole("button", { name: "Sign in with a passkey" }).focus();
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(`${home(name)}/`);

  await page.goto(`${home(name)}/account/passkeys`);
  await page.getByRole("button", { name: "Remove the passkey laptop" }).click();
  await expect(page.getByText("The passkey is removed here.")).toBeVisible();
  await signOut(page, name);
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await expect(page.getByRole("alert").filter({ hasText: "passkey" })).toBeVisible();
  await expect(page).toHaveURL(/\/sign-in/);
});

test("another tenant's host has no use for the passkey", async ({ page }) => {
  const [own, other] = [newName("own"), newName("other")];
  await authenticator(page);
  await signUp(page, own);
  await add(page, own);
  await page.context().clearCookies();
  await signUp(page, other);
  await signOut(page, other);
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await expect(page.getByRole("alert").filter({ hasText: /passkey/ })).toBeVisible({ timeout: 60_000 });
  await expect(page).toHaveURL(/\/sign-in/);
});

test("without a script the sign-in says what passkeys need @nojs", async ({ page, javaScriptEnabled }) => {
  await page.goto(`${home("admin")}/sign-in`);
  const text = page.getByText("Passkeys need a browser that has them, with scripts switched on.");
  const button = page.getByRole("button", { name: "Sign in with a passkey" });
  const hasScript = javaScriptEnabled !== false;
  await expect(text).toBeVisible({ visible: !hasScript });
  await expect(button).toBeVisible({ visible: hasScript });
});
