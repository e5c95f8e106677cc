// Browser tests against the real server. `./dev test e2e` starts it inside a test bed and sets BASE;
// by hand: ./dev run in one terminal, cd end2end && npx playwright test in another.
import { existsSync } from "node:fs";
import { defineConfig, devices } from "@playwright/test";

// The distribution's browser: nothing is downloaded where it is there. Undefined means Playwright's own,
// which ./dev installs on Ubuntu, where `chromium` is a snap and does not run in a namespace.
const executablePath = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/google-chrome"].find(
  (path) => path && existsSync(path),
);

export default defineConfig({
  testDir: "tests",
  outputDir: "test-results",
  // One stack, and the tests look at its state: side by side they would see each other's tenants.
  workers: 1,
  fullyParallel: false,
  forbidOnly: !!process.env.CI,
  retries: 0,
  timeout: 120_000,
  globalTimeout: 20 * 60_000,
  expect: { timeout: 20_000 },
  reporter: process.env.CI ? [["list"]] : [["list"], ["html", { open: "never" }]],
  use: {
    // Chromium resolves *.localhost to loopback, which is the bed's own inside a bed.
    baseURL: process.env.BASE ?? "http://localhost:8085",
    screenshot: "only-on-failure",
    trace: "retain-on-failure",
    launchOptions: {
      executablePath,
      args: [
        // The tests run as root, where Chromium's own sandbox does not start.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        // Without these it looks for its vendor's hosts at every start.
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
  projects: [
    { name: "desktop", use: { ...devices["Desktop Chrome"] } },
    {
      name: "phone",
      grep: /@phone/,
      use: { ...devices["Desktop Chrome"], viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
    },
    {
      name: "nojs",
      grep: /@nojs/,
      use: { ...devices["Desktop Chrome"], javaScriptEnabled: false },
    },
  ],
});
