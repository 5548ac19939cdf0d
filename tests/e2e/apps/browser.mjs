// Opens a page of the UI in Chromium, prints "ready", waits until every TEXT is on the page, and
// prints "seen". Usage: node browser.mjs WEB_FOLDER URL TEXT...
import { existsSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, url, ...texts] = process.argv.slice(2);
const { chromium } = createRequire(`${folder}/package.json`)("playwright-core");
const known = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executablePath = process.env.CHROMIUM ?? known.find((path) => existsSync(path));
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage();
  await page.goto(url, { waitUntil: "load" });
  await page.locator("main").first().waitFor();
  console.log("ready");
  for (const text of texts) {
    await page.getByText(text, { exact: true }).first().waitFor({ timeout: 30_000 });
  }
  console.log("seen");
} finally {
  await browser.close();
}
