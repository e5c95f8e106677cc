// Last, because the browser's address is held up for a minute afterwards.
import { expect, test } from "@playwright/test";
import { home, newName, PASSWORD, signUp } from "./people";

test("sign out, sign in, and the sixth wrong password waits", async ({ page }) => {
  const name = newName("nora");
  await signUp(page, name);
  await page.goto(`${home(name)}/account`);
  await page.getByRole("main").getByRole("button", { name: "Sign out" }).click();
  await page.goto(`${home(name)}/`);
  await expect(page).toHaveURL(/\/sign-in/);
  const enter = async (password: string) => {
    await page.getByLabel("Password", { exact: true }).fill(password);
    await page.getByRole("button", { name: "Sign in" }).click();
  };
  await enter("wrong password");
  await expect(page.getByText("The name or the password is wrong.")).toBeVisible();
  await enter(PASSWORD);
  await expect(page.getByRole("heading", { name: "Overview" })).toBeVisible();

  await page.goto(`${home(name)}/account`);
  await page.getByRole("main").getByRole("button", { name: "Sign out" }).click();
  await page.goto(`${home(name)}/sign-in`);
  for (let i = 0; i < 6; i += 1) {
    const answered = page.waitForResponse((r) => r.url().includes("/api/sign_in"));
    await enter(`wrong password ${i}`);
    await answered;
  }
  await expect(page.getByText("Too many tries")).toBeVisible();
});
