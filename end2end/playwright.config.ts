// Browser tests against the real server. `./dev test e2e` starts it inside a test bed and sets BASE;
// by hand: ./dev run in one terminal, cd end2end && npx playwright test in another.
import { existsSync } from "node:fs";
import { defineConfig, devices } from "@playwright/test";

// The distribution's browser, if there is one, so that none is downloaded. Undefined means Playwright's own,
// which ./dev installs on Ubuntu, where `chromium` is a snap and does not run in a namespace.
const executablePath = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/google-chrome"].find(
  (path) => path && existsSync(path),
);

// This file leaves the browser's address limited, so it runs alone and after all other tests.
const signInLimits = "**/sign-in-limits.spec.ts";

export default defineConfig({
  testDir: "tests",
  outputDir: "test-results",
  // All tests share one server and read its state: in parallel they would see each other's tenants.
  workers: 1,
  fullyParallel: false,
  forbidOnly: !!process.env.CI,
  retries: 0,
  timeout: 120_000,
  globalTimeout: 20 * 60_000,
  expect: { timeout: 20_000 },
  reporter: process.env.CI ? [["list"]] : [["list"], ["html", { open: "never" }]],
  use: {
    // Chromium resolves *.localhost to loopback; inside a bed that is the bed's own.
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
        // Without these it contacts its vendor's hosts at every start.
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
  projects: [
    { name: "desktop", testIgnore: signInLimits, use: { ...devices["Desktop Chrome"] } },
    {
      name: "phone",
      testIgnore: signInLimits,
      grep: /@phone/,
      use: { ...devices["Desktop Chrome"], viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
    },
    {
      name: "nojs",
      testIgnore: signInLimits,
      grep: /@nojs/,
      use: { ...devices["Desktop Chrome"], javaScriptEnabled: false },
    },
    {
      // Playwright runs the dependencies in full first, also if only this project is selected; --no-deps skips them.
      name: "sign-in-limits",
      testMatch: signInLimits,
      dependencies: ["desktop", "phone", "nojs"],
      use: { ...devices["Desktop Chrome"] },
    },
  ],
});
