// Browser tests of a tenant on a worker. server/tests/nodes/pages.rs starts them on a cluster whose only open node is a
// worker: ./dev test nodes.
import { defineConfig, devices } from "@playwright/test";
import base from "./playwright.config";

export default defineConfig(base, {
  testDir: "nodes",
  globalTimeout: 5 * 60_000,
  reporter: [["list"]],
  projects: [{ name: "desktop", use: { ...devices["Desktop Chrome"] } }],
});
