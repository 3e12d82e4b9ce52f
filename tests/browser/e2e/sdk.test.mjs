// The SDK without the page: its example, as it stands in the package, in a meeting with somebody on the page.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/chromium.mjs";
import { inPageMedia } from "../lib/inpage.mjs";
import { startMesh } from "../lib/mesh.mjs";
import { participant } from "../lib/participant.mjs";
import { installProbe, untilColour, untilHeard, watchAudio, watchVideo } from "../lib/probe.mjs";
import { buildSdk, SDK } from "../lib/sdk.mjs";
import { serve } from "../lib/serve.mjs";

let mesh;
let browser;
let site;

before(async () => {
  buildSdk();
  site = await serve(SDK, { policy: false });
  mesh = await startMesh();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await mesh?.stop();
  await site?.close();
});

test("the example of 30 lines is a client", { timeout: 60_000 }, async () => {
  const meeting = await mesh.meeting();
  const link = new URL(mesh.linkOf(meeting, "us-east-1"));
  const page = await browser.newPage();
  await inPageMedia(page, { colour: "orange" });
  await installProbe(page);
  await page.goto(`${site.origin}/examples/minimal.html?edge=${link.origin.replace("http", "ws")}/v1/signal${link.hash}`);
  await page.waitForFunction(() => document.querySelector("output").textContent === "connected", undefined, { timeout: 15_000 });
  const lin = await participant(browser, mesh.linkOf(meeting, "eu-west-1"), { name: "Lin", colour: "blue" });
  await lin.untilMain("orange", 15_000);
  await lin.untilHeard("orange");
  await watchVideo(page, "video:not([hidden])", "picture");
  await watchAudio(page, "audio", "voices");
  await untilColour(page, "picture", "blue", 15_000);
  await untilHeard(page, "voices", "blue");
  await page.click("button");
  await lin.untilHeard("orange", { heard: false });
  // The folder it is served from has no icon.
  assert.deepEqual(page.problems.filter((problem) => !problem.includes("404")), []);
  await lin.close();
  await page.close();
});
