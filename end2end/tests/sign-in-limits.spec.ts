// The limit on sign-in attempts. The browser's address stays limited for a minute afterwards, so this file is a
// Playwright project that runs after all others (playwright.config.ts).
import { expect, test } from "@playwright/test";
import { home, newName, PASSWORD, signUp } from "./steps";

test("the sixth wrong password has to wait", async ({ page }) => {
  const name = newName("nora");
  await signUp(page, name);
  await page.goto(`${home(name)}/account`);
  await page.getByRole("main").getByRole("button", { name: "Sign out" }).click();
  await page.goto(`${home(name)}/`);
  await expect(page).toHaveURL(/\/sign-in/);
  const enter = async (password: string) => {
    await page.getByLabel("Password", { exact: true }).fill(password);
    await page.getByRole("button", { name: "Sign in", exact: true }).click();
  };
  await enter("wrong password");
  await expect(page.getByText("The name or the password is wrong.")).toBeVisible();
  await enter(PASSWORD);
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();

  await page.goto(`${home(name)}/account`);
  await page.getByRole("main").getByRole("button", { name: "Sign out" }).click();
  await page.goto(`${home(name)}/sign-in`);
  for (let i = 0; i < 6; i += 1) {
    const answered = page.waitForResponse((r) => r.url().includes("/do/sign_in"));
    await enter(`wrong password ${i}`);
    await answered;
  }
  await expect(page.getByText("Too many tries")).toBeVisible();
});
