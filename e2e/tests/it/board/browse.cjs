// Drives Chromium through steps that are read as JSON from standard input, and writes one result for
// each as JSON: what a person would see. It judges nothing; the tests do.
//
// Input: {"chromium": path, "dark": bool, "steps": [...]}. Each step has one member:
//   {"open": url}                 goes there; the result is the status of HTTP
//   {"fill": [selector, text]}    types
//   {"select": [selector, label]} chooses an option
//   {"click": selector}           clicks, and waits until the page that follows is there
//   {"text": selector}            the visible text of the first that matches
//   {"texts": selector}           the same of each that matches
//   {"cookies": true}             the cookies of the page, with their attributes
//   {"run": expression}           the value of JavaScript in the page, as a script of a stranger would run
//   {"picture": path}             writes the whole page as PNG
// Output: {"results": [...], "complaints": [...], "hosts": [...]}: what the browser complained about, and
// the origins that it asked.
"use strict";
const { chromium } = require("playwright-core");

const LIMIT = 30_000;

async function perform(page, context, step) {
  const [[verb, value]] = Object.entries(step);
  switch (verb) {
    case "open":
      return (await page.goto(value)).status();
    case "fill":
      return page.fill(...value).then(() => null);
    case "select":
      return page.selectOption(value[0], { label: value[1] }).then(() => null);
    case "click":
      await Promise.all([page.waitForNavigation(), page.click(value)]);
      return page.url();
    case "text":
      return page.locator(value).first().innerText();
    case "texts":
      return page.locator(value).allInnerTexts();
    case "cookies":
      return context.cookies();
    case "run":
      return page.evaluate(value);
    case "picture":
      return page.screenshot({ path: value, fullPage: true }).then(() => null);
    default:
      throw new Error(`no such step: ${verb}`);
  }
}

async function main() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const asked = JSON.parse(Buffer.concat(chunks).toString());
  // A browser has no sandbox where it runs as root in a test; it opens nothing but the page under test.
  const browser = await chromium.launch({ executablePath: asked.chromium, args: ["--no-sandbox"] });
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    colorScheme: asked.dark ? "dark" : "light",
    viewport: { width: 1200, height: 800 },
  });
  context.setDefaultTimeout(LIMIT);
  const page = await context.newPage();
  const complaints = [];
  const hosts = new Set();
  page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => complaints.push(`error: ${error.message}`));
  page.on("request", (request) => hosts.add(new URL(request.url()).origin));
  const results = [];
  for (const step of asked.steps) {
    results.push((await perform(page, context, step)) ?? null);
  }
  await browser.close();
  process.stdout.write(JSON.stringify({ results, complaints, hosts: [...hosts] }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
