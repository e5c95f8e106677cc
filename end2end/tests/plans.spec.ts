// Plans in the operator's panel, and what a tenant sees of them.
import { expect, type Page, test } from "@playwright/test";
import { expectAccessible, expectNoSideScroll } from "./accessibility";
import { addDevice, BASE, home, newName, operatorSignIn, signUp } from "./steps";

const ADMIN = home("admin");

/** Creates a plan by the form and returns its name. It is hidden, so that other tests' sign-ups do not see it. */
async function createPlan(page: Page, fields: Record<string, string> = {}) {
  const name = newName("plan");
  await page.goto(`${ADMIN}/plans`);
  await page.getByRole("link", { name: "New plan" }).click();
  await page.getByLabel("Name", { exact: true }).fill(name);
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value);
  await page.getByRole("switch", { name: "Visible" }).uncheck();
  await page.getByRole("button", { name: "Create the plan" }).click();
  await expect(page.getByText(`“${name}” is saved.`)).toBeVisible();
  return name;
}

/** Gives a tenant a plan from the list of tenants. */
async function changePlan(page: Page, tenant: string, plan: string) {
  await page.goto(`${ADMIN}/?q=${tenant}`);
  await page.getByRole("link", { name: new RegExp(`^Plan of ${tenant}`) }).click();
  await page.getByRole("radio", { name: new RegExp(`^${plan}`) }).check();
  await page.getByRole("button", { name: `Change the plan of ${tenant}` }).click();
  await expect(page.getByText("Saved. It holds at once.")).toBeVisible();
}

test("a changed plan tells whom it touches, and the tenant sees it @nojs", async ({ page, browser, javaScriptEnabled }) => {
  const tenant = newName("fair");
  const own = await (await browser.newContext({ javaScriptEnabled })).newPage();
  await signUp(own, tenant);
  await operatorSignIn(page);
  const plan = await createPlan(page, { Devices: "4", "Data a month": "20", "Speed down": "50", "Speed up": "1.5" });
  await changePlan(page, tenant, plan);
  await own.goto(`${home(tenant)}/account`);
  await expect(own.getByText("50 Mb/s down, 1.5 Mb/s up")).toBeVisible();
  await expect(own.getByText(/of 20 GB · 0 % · until/)).toBeVisible();
  await addDevice(own, tenant, "Phone");
  await addDevice(own, tenant, "Laptop");

  await page.goto(`${ADMIN}/plans`);
  await page.getByRole("link", { name: `Edit ${plan}` }).click();
  await expect(page.getByLabel("Speed up", { exact: true })).toHaveValue("1.5");
  await page.getByLabel("Devices", { exact: true }).fill("1");
  await page.getByLabel("Speed down", { exact: true }).fill("20");
  await page.getByRole("radio", { name: /^Stopped/ }).check();
  await page.getByRole("button", { name: "Save the plan" }).click();

  // The step before the change: what, for whom, and a way back with what was typed.
  await expect(page.getByRole("heading", { name: `Change ${plan}?` })).toBeVisible();
  await expect(page.getByText("1 tenant has this plan.")).toBeVisible();
  await expect(page.getByRole("row", { name: /Speed down/ })).toContainText("50 Mb/s20 Mb/s");
  await expect(page.getByText(`keeps them and can add none: ${tenant}.`)).toBeVisible();
  await page.getByRole("link", { name: "Back to the form" }).click();
  await expect(page.getByLabel("Speed down", { exact: true })).toHaveValue("20");
  await expect(page.getByRole("radio", { name: /^Stopped/ })).toBeChecked();
  await own.goto(`${home(tenant)}/account`);
  await expect(own.getByText("50 Mb/s down, 1.5 Mb/s up"), "nothing is changed yet").toBeVisible();
  await page.getByRole("button", { name: "Save the plan" }).click();
  await page.getByRole("button", { name: "Change the plan" }).click();
  await expect(page.getByText(`“${plan}” is saved.`)).toBeVisible();

  await own.goto(`${home(tenant)}/account`);
  await expect(own.getByText("20 Mb/s down, 1.5 Mb/s up")).toBeVisible();
  await expect(own.getByText("only DNS and your devices among each other")).toBeVisible();
  await own.goto(`${home(tenant)}/devices/new`);
  await expect(own.getByText("2 of 1")).toBeVisible();
});

test("an open overview follows a change of the plan", async ({ page, browser }) => {
  const tenant = newName("live");
  await signUp(page, tenant);
  await page.goto(`${home(tenant)}/`);
  await expect(page.getByText(/of 500 GB · 0 % · until/)).toBeVisible();
  const operator = await (await browser.newContext()).newPage();
  await operatorSignIn(operator);
  await changePlan(operator, tenant, "Personal");
  await expect(page.getByText(/of 100 GB · 0 % · until/)).toBeVisible();
  await expect(page.getByText("5 in your plan")).toBeVisible();
});

test("a plan that cannot be is refused and kept as typed @nojs", async ({ page }) => {
  await operatorSignIn(page);
  await page.goto(`${ADMIN}/plans/new`);
  await page.getByLabel("Name", { exact: true }).fill("Odd & <even>");
  await page.getByLabel("Data a month", { exact: true }).fill("1.5");
  await page.getByLabel("Unit of “Data a month”").selectOption("TB");
  await page.getByLabel("Speed down", { exact: true }).fill("0");
  await page.getByRole("button", { name: "Create the plan" }).click();
  await expect(page.locator("#down-note")).toContainText("64 kb/s to 10 Tb/s");
  // 10 Tb/s and one bit more.
  await page.getByLabel("Speed down", { exact: true }).fill("10.000000000001");
  await page.getByLabel("Unit of “Speed down”").selectOption("Tb/s");
  await page.getByRole("button", { name: "Create the plan" }).click();
  await expect(page.locator("#down-note")).toContainText("64 kb/s to 10 Tb/s");
  await expect(page.getByLabel("Speed down", { exact: true })).toHaveValue("10.000000000001");
  await expect(page.getByLabel("Speed down", { exact: true })).toBeFocused();
  await expect(page.getByLabel("Unit of “Speed down”")).toHaveValue("Tb/s");
  await expect(page.getByLabel("Name", { exact: true })).toHaveValue("Odd & <even>");
  await expect(page.getByLabel("Unit of “Data a month”")).toHaveValue("TB");
  await page.goto(`${ADMIN}/plans`);
  await expect(page.getByText("Odd &")).toHaveCount(0);
});

test("a plan is made with the keyboard and deleted after a question", async ({ page }) => {
  await operatorSignIn(page);
  await page.goto(`${ADMIN}/plans/new`);
  const name = newName("keys");
  await page.getByLabel("Name", { exact: true }).focus();
  await page.keyboard.type(name);
  await page.keyboard.press("Enter");
  await expect(page.getByText(`“${name}” is saved.`)).toBeVisible();
  await page.getByRole("link", { name: `Edit ${name}` }).click();
  await expect(page.getByRole("button", { name: `Delete ${name}` })).toBeHidden();
  await page.getByText(`Delete ${name} …`).click();
  await page.getByRole("button", { name: `Delete ${name}` }).click();
  await expect(page.getByRole("heading", { name: "Plans", exact: true })).toBeVisible();
  await expect(page.getByText(name)).toHaveCount(0);
});

test("a tenant sets the time zone @nojs", async ({ page }) => {
  const tenant = newName("zone");
  await signUp(page, tenant);
  await page.goto(`${home(tenant)}/account`);
  await page.getByLabel("Time zone").selectOption("Pacific/Auckland");
  await page.getByRole("button", { name: "Save the time zone" }).click();
  await expect(page.getByText("✓ Saved.")).toBeVisible();
  await page.goto(`${home(tenant)}/account`);
  await expect(page.getByLabel("Time zone")).toHaveValue("Pacific/Auckland");
});

test.describe("in Kolkata", () => {
  test.use({ timezoneId: "Asia/Kolkata" });
  test("the browser's time zone is offered first", async ({ page }) => {
    const tenant = newName("asia");
    await signUp(page, tenant);
    await page.goto(`${home(tenant)}/account`);
    const first = page.getByLabel("Time zone").locator("option").first();
    await expect(first).toHaveText(/^Asia\/(Kolkata|Calcutta)$/);
    await expect(page.getByLabel("Time zone"), "but not chosen").not.toHaveValue(/Asia/);
  });
});

for (const colorScheme of ["light", "dark"] as const) {
  for (const [width, height] of [
    [360, 740],
    [1280, 900],
  ] as const) {
    test.describe(`${colorScheme}, ${width} px`, () => {
      // Without transitions: axe would see a colour halfway.
      const contextOptions = { reducedMotion: "reduce" } as const;
      test.use({ colorScheme, viewport: { width, height }, contextOptions });
      test("axe finds nothing on the pages of plans and use", async ({ page, browser }) => {
        const tenant = newName("look");
        const own = await (await browser.newContext({ colorScheme, viewport: { width, height }, ...contextOptions })).newPage();
        await signUp(own, tenant);
        await addDevice(own, tenant, "Phone");
        await operatorSignIn(page);
        const plan = await createPlan(page);
        await changePlan(page, tenant, plan);
        const id = new URL(page.url()).pathname;
        const edit = `${ADMIN}/plans/${plan}`;
        const refused = `${edit}?error=plan_malformed&field=down&down=0`;
        const confirm = `${edit}/confirm?name=${plan}&devices=1&data=1&data_unit=MB&down=1&down_unit=Mb%2Fs&up=&up_unit=Mb%2Fs&at_limit=stop&slow=1&slow_unit=Mb%2Fs&month_day=31&visible=off`;
        for (const url of [`${ADMIN}/`, `${ADMIN}/plans`, `${ADMIN}/plans/new`, edit, refused, confirm, `${ADMIN}${id}`, `${ADMIN}/use`, `${ADMIN}/use?q=no-such-tenant`]) {
          await page.goto(url);
          await expectAccessible(page, url);
          await expectNoSideScroll(page, url);
          await shot(page, `${colorScheme}-${width}`, url);
        }
        for (const url of [`${BASE}/`, `${BASE}/sign-up`, `${home(tenant)}/`, `${home(tenant)}/account`, `${home(tenant)}/events`]) {
          await own.goto(url);
          await expectAccessible(own, url);
          await expectNoSideScroll(own, url);
          await shot(own, `${colorScheme}-${width}`, url);
        }
      });
    });
  }
}

/** Leaves a picture for a person, if MALIKNODE_PICTURES names a folder. */
async function shot(page: Page, how: string, url: string) {
  const folder = process.env.MALIKNODE_PICTURES;
  if (!folder) return;
  const { host, pathname, search } = new URL(url);
  const name = `${host.split(".")[0]}${pathname}${search.slice(0, 20)}`.replaceAll(/[^a-z0-9]+/gi, "-");
  await page.screenshot({ path: `${folder}/${name}-${how}.png`, fullPage: true });
}
