// A tenant on a worker in a browser: from the landing page to the deleted account.
import { readFileSync } from "node:fs";
import { expect, type Page, test } from "@playwright/test";
import { expectAccessible, expectNoSideScroll } from "../tests/accessibility";
import { addDevice, BASE, home, newName, operatorSignIn, PASSWORD, scan, signUp } from "../tests/steps";

const ADMIN = home("admin");

test("a network on a worker is made, used and deleted", async ({ page, context }) => {
  const errors: string[] = [];
  page.on("pageerror", (e) => errors.push(String(e)));
  const name = newName("far");
  // The progress page of its sign-up names each part as it becomes ready on the worker.
  await page.goto(`${BASE}/sign-up?name=${name}`);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Make my network" }).click();
  await page.waitForURL(`${home(name)}/progress**`);
  await expect(page.getByRole("link", { name: "Add your first device" })).toBeVisible({ timeout: 30_000 });

  // A device, whose code is its download, with the worker's address.
  await page.getByRole("link", { name: "Add your first device" }).click();
  await page.getByRole("textbox", { name: "Label" }).fill("My phone");
  await page.getByRole("button", { name: "Add device" }).click();
  await page.waitForURL(/\/devices\/\d+/);
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: /Download/ }).click();
  const conf = readFileSync(await (await download).path(), "utf8");
  expect(await scan(page)).toBe(conf);
  expect(conf).toMatch(/Endpoint = 198\.18\.110\.1:\d+/);

  // An open overview follows a change that is made on another page.
  await page.goto(`${home(name)}/`);
  await expect(page.getByText("Tunnel up · DNS answering")).toBeVisible();
  const other = await context.newPage();
  await addDevice(other, name, "Laptop");
  await expect(page.getByRole("link", { name: "Laptop", exact: true }).first()).toBeVisible();
  await other.close();

  await page.goto(`${home(name)}/mesh`);
  await expect(page.getByRole("heading", { name: "Mesh", exact: true })).toBeVisible();
  await page.goto(`${home(name)}/mesh?show=list`);
  await expect(page.getByText("My phone").first()).toBeVisible();

  await usesAdGuardHome(page, name);

  // The account's end is the network's end.
  await page.goto(`${home(name)}/account`);
  await page.getByLabel("The account's name").fill(name);
  await page.getByRole("button", { name: `Delete ${name} for good` }).click();
  await expect(page).not.toHaveURL(/\/account/);
  await page.goto(`${home(name)}/`);
  await expect(page.getByText("Tunnel up")).toHaveCount(0);
  expect(errors).toEqual([]);
});

/** Opens AdGuard Home from the overview: signed in, with the devices as clients, and with a rule of the tenant's own. */
async function usesAdGuardHome(page: Page, name: string) {
  await page.goto(`${home(name)}/`);
  const opened = page.waitForEvent("popup");
  await page.getByRole("link", { name: /Open AdGuard Home/ }).click();
  const guard = await opened;
  await guard.waitForURL(new RegExp(`^${home(`${name}-dns`).replaceAll(".", "\\.")}/`));
  await expect(guard.getByText("DNS Queries").first()).toBeVisible({ timeout: 30_000 });
  await expect(guard.locator("input[type=password]")).toHaveCount(0);
  const clients = await guard.evaluate(async () => (await fetch("/control/clients")).json());
  expect(clients.clients.map((c: { name: string }) => c.name)).toEqual(expect.arrayContaining(["My phone", "Laptop"]));

  await guard.goto(`${home(`${name}-dns`)}/#custom_rules`);
  await guard.locator("textarea").first().fill("||chosen.example^");
  await guard.getByRole("button", { name: "Apply" }).click();
  await expect
    .poll(() => guard.evaluate(async () => (await (await fetch("/control/filtering/status")).json()).user_rules))
    .toContain("||chosen.example^");
  await guard.close();
}

for (const [width, height] of [
  [390, 844],
  [1280, 900],
] as const) {
  test.describe(`${width} px`, () => {
    test.use({ viewport: { width, height }, contextOptions: { reducedMotion: "reduce" } });
    test("the operator's page of nodes fits", async ({ page, browser }) => {
      const tenant = await (await browser.newContext()).newPage();
      await signUp(tenant, newName("here"));
      await operatorSignIn(page);
      await page.goto(`${ADMIN}/nodes`);
      const row = page.getByRole("row", { name: /w1/ });
      await expect(row).toContainText("Open");
      await expect(row).toContainText("198.18.110.1");
      // Each button is inside of the card, which would cut it off.
      const card = (await page.getByRole("region", { name: "Nodes" }).boundingBox())!;
      for (const name of ["More about w1", "Close w1"]) {
        const box = (await row.getByLabel(name).boundingBox())!;
        expect(box.x, name).toBeGreaterThan(card.x);
        expect(box.x + box.width, name).toBeLessThan(card.x + card.width);
      }
      await expectNoSideScroll(page, "nodes");
      await expectAccessible(page, "nodes");
      if (width < 800) await expectShortBar(page);
      await shot(page, `nodes-${width}`);
      await row.getByLabel("More about w1").click();
      await expect(page.getByRole("heading", { name: "w1", exact: true })).toBeVisible();
      await expectNoSideScroll(page, "a node");
      await expectAccessible(page, "a node");
      await shot(page, `node-${width}`);
    });
  });
}

/** Expects that the phone's bar has five entries at most, with their text on one line, and that all pages can be reached. */
async function expectShortBar(page: Page) {
  const entries = page.locator(".tabbar a");
  expect(await entries.count()).toBeLessThanOrEqual(5);
  for (const entry of await entries.all()) {
    const box = (await entry.boundingBox())!;
    expect(box.width, "wide enough for a finger").toBeGreaterThanOrEqual(48);
    const overflow = await entry.evaluate((e) => e.scrollWidth - e.clientWidth);
    expect(overflow, await entry.innerText()).toBeLessThanOrEqual(0);
  }
  await page.locator(".tabbar").getByRole("link", { name: "Home" }).click();
  for (const name of ["Events", "Audit log"]) {
    await page.getByRole("main").getByRole("link", { name, exact: true }).click();
    await expect(page).toHaveURL(/(#events|\/audit)$/);
  }
  await page.goto(`${ADMIN}/nodes`);
}

/** Leaves a picture for a person, if MALIKNODE_PICTURES names a folder. */
async function shot(page: Page, name: string) {
  const folder = process.env.MALIKNODE_PICTURES;
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
}
