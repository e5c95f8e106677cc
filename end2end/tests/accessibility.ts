// Runs axe (https://github.com/dequelabs/axe-core) on a page: contrast, names, roles, order.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { expect, type Page } from "@playwright/test";

const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

type Violation = { id: string; help: string; nodes: { html: string; failureSummary?: string }[] };

/** Expects that axe finds nothing on the page as it is now. */
export async function expectAccessible(page: Page, what: string) {
  // Evaluated by the debugger: the page's policy allows no foreign script.
  await page.evaluate(source);
  const found = await page.evaluate(async () => {
    const axe = (window as unknown as { axe: { run(): Promise<{ violations: Violation[] }> } }).axe;
    return (await axe.run()).violations;
  });
  const told = found.flatMap((v) => v.nodes.map((n) => `${v.id}: ${v.help}\n  ${n.html}\n  ${n.failureSummary}`));
  expect(told, what).toEqual([]);
}

/** Expects that nothing sticks out at the side of the page. */
export async function expectNoSideScroll(page: Page, what: string) {
  const [content, visible] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  expect(content, `${what}: as wide as the screen`).toBeLessThanOrEqual(visible);
}
