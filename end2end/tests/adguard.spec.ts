// The tenant's own AdGuard Home, signed on, on an origin of its own.
import { expect, test } from "@playwright/test";
import { addDevice, home, newName, signUp } from "./people";

test("Open AdGuard Home leads to the real dashboard, signed on", async ({ page }) => {
  const name = newName("guard");
  await signUp(page, name);
  await addDevice(page, name, "Study");
  await page.goto(`${home(name)}/`);
  const opened = page.waitForEvent("popup");
  await page.getByRole("link", { name: /Open AdGuard Home/ }).click();
  const guard = await opened;
  await guard.waitForURL(new RegExp(`^${home(`${name}-dns`).replaceAll(".", "\\.")}/`));
  await expect(guard).toHaveTitle(/AdGuard Home/);
  // Its own page has asked its own API by then: a dashboard, not a sign-in.
  await expect(guard.getByText("DNS Queries").first()).toBeVisible({ timeout: 30_000 });
  await expect(guard.locator("input[type=password]")).toHaveCount(0);

  // The device is a client there, under its label.
  const clients = await guard.evaluate(async () => (await fetch("/control/clients")).json());
  expect(clients.clients.map((c: { name: string }) => c.name)).toContain("Study");
  const filtering = await guard.evaluate(async () => (await fetch("/control/filtering/status")).json());
  expect(filtering.enabled).toBe(true);
  expect(filtering.filters.some((f: { rules_count: number }) => f.rules_count > 0)).toBe(true);

  // What would lead out of the tenant's own filter is refused.
  for (const path of ["/control/update", "/control/tls/configure", "/control//dhcp/../dhcp/set_config", "/control/install/configure"]) {
    const status = await guard.evaluate(
      async (p) => (await fetch(p, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" })).status,
      path,
    );
    // 400: its UI takes 403 for "signed out" and would send the person away.
    expect(status, path).toBe(400);
  }
});

test("nobody else gets in", async ({ page, browser }) => {
  const name = newName("lock");
  await signUp(page, name);
  const stranger = await (await browser.newContext()).newPage();
  await stranger.goto(`${home(`${name}-dns`)}/`);
  await expect(stranger).toHaveURL(/\/sign-in/);
  const status = await stranger.goto(`${home(`${name}-dns`)}/control/status`);
  expect(await status?.text()).not.toContain('"running"');
});
