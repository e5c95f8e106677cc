// The tenant's own AdGuard Home, signed in, on its own origin.
import { expect, test } from "@playwright/test";
import { addDevice, home, newName, signUp } from "./steps";

test("AdGuard Home opens signed in and with limits", async ({ page }) => {
  const name = newName("guard");
  await signUp(page, name);
  await addDevice(page, name, "Study");
  await page.goto(`${home(name)}/`);
  const opened = page.waitForEvent("popup");
  await page.getByRole("link", { name: /Open AdGuard Home/ }).click();
  const guard = await opened;
  await guard.waitForURL(new RegExp(`^${home(`${name}-dns`).replaceAll(".", "\\.")}/`));
  await expect(guard).toHaveTitle(/AdGuard Home/);
  // The page has called its API by then: it is the dashboard, not a sign-in.
  await expect(guard.getByText("DNS Queries").first()).toBeVisible({ timeout: 30_000 });
  await expect(guard.locator("input[type=password]")).toHaveCount(0);

  // The device is a client in AdGuard Home, under its label.
  const clients = await guard.evaluate(async () => (await fetch("/control/clients")).json());
  expect(clients.clients.map((c: { name: string }) => c.name)).toContain("Study");
  const filtering = await guard.evaluate(async () => (await fetch("/control/filtering/status")).json());
  expect(filtering.enabled).toBe(true);
  expect(filtering.filters.some((f: { rules_count: number }) => f.rules_count > 0)).toBe(true);

  // A way back, by keyboard too, and no sign-out that would sign out of nothing.
  const back = guard.getByRole("navigation", { name: "MalikNode" }).getByRole("link");
  await expect(back).toBeVisible();
  await expect(back).toHaveAttribute("href", `${home(name)}/`);
  await back.focus();
  await expect(back).toBeFocused();
  await expect(guard.locator('a[href$="control/logout"]')).toBeHidden();
  await guard.evaluate(() => (document.documentElement.dataset.theme = "dark"));
  await expect(back.locator("..")).toHaveCSS("background-color", "rgb(27, 27, 27)");

  // Files with a hash in their name are stored by the browser.
  const script = await guard.locator("script[src^='main.']").first().getAttribute("src");
  const stored = await guard.evaluate(async (src) => (await fetch(`/${src}`)).headers.get("cache-control"), script);
  expect(stored).toContain("immutable");

  // Each shared list can be switched off, also one that was not fetched yet.
  for (const list of filtering.filters) {
    const status = await guard.evaluate(
      async (l) => {
        const body = { url: l.url, whitelist: false, data: { name: l.name, url: l.url, enabled: false } };
        const options = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
        return (await fetch("/control/filtering/set_url", options)).status;
      },
      list,
    );
    expect(status, list.name).toBe(200);
  }

  // Requests that would affect more than the tenant's own filter are refused.
  for (const path of ["/control/update", "/control/tls/configure", "/control//dhcp/../dhcp/set_config", "/control/install/configure"]) {
    const status = await guard.evaluate(
      async (p) => (await fetch(p, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" })).status,
      path,
    );
    // The status is 400 because the UI of AdGuard Home treats 403 as signed out.
    expect(status, path).toBe(400);
  }
});

test("AdGuard Home refuses other visitors", async ({ page, browser }) => {
  const name = newName("lock");
  await signUp(page, name);
  const stranger = await (await browser.newContext()).newPage();
  await stranger.goto(`${home(`${name}-dns`)}/`);
  await expect(stranger).toHaveURL(/\/sign-in/);
  const status = await stranger.goto(`${home(`${name}-dns`)}/control/status`);
  expect(await status?.text()).not.toContain('"running"');
});
