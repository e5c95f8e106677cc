// Many open tabs of one dashboard. Over HTTP/1.1 a browser has six connections to a host, and each live page holds one.
import { expect, test, type Page } from "@playwright/test";
import { home, newName, signUp } from "./steps";

/** Makes the page seen or hidden, as changing tabs does; without a window, every tab is seen. */
const turn = (page: Page, hidden: boolean) =>
  page.evaluate((hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
  }, hidden);

const isStream = (url: string) => new URL(url).pathname.startsWith("/live/");

test("ten tabs work, and each is live again when it is seen", async ({ page, context }) => {
  const name = newName("tabs");
  await signUp(page, name);
  const tabs: Page[] = [];
  for (let n = 0; n < 10; n += 1) {
    const tab = await context.newPage();
    const stream = tab.waitForRequest((request) => isStream(request.url()));
    await tab.goto(`${home(name)}/`);
    await stream;
    await expect(tab.getByText("Tunnel up · DNS answering")).toBeVisible();
    const closed = tab.waitForEvent("requestfailed", (request) => isStream(request.url()));
    await turn(tab, true);
    await closed;
    tabs.push(tab);
  }
  // The first one shows what has changed meanwhile, without being loaded again.
  const [first] = tabs;
  await page.goto(`${home(name)}/devices/new`);
  await page.getByRole("textbox", { name: "Label" }).fill("Kitchen radio");
  await page.getByRole("button", { name: "Add device" }).click();
  await page.waitForURL(/\/devices\/\d+/);
  await expect(first.getByText("Kitchen radio")).toHaveCount(0);
  const again = first.waitForRequest((request) => isStream(request.url()));
  await turn(first, false);
  await again;
  await expect(first.getByText("Kitchen radio").first()).toBeAttached();
});
