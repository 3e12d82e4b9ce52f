// One voice and one face across three regions: real processes, real browsers, the sea in between.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch } from "../lib/chromium.mjs";
import { startMesh } from "../lib/mesh.mjs";
import { participant } from "../lib/participant.mjs";

let mesh;
let browser;

before(async () => {
  mesh = await startMesh();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await mesh?.stop();
});

test("a voice and a face from us-east-1 arrive in ap-southeast-1", async () => {
  const ada = await participant(browser, mesh.link("us-east-1"), { name: "Ada", colour: "red", media: { turns: [[0, 3600]] } });
  const lin = await participant(browser, mesh.link("ap-southeast-1"), { name: "Lin", colour: "blue", media: { turns: [] } });
  await lin.untilHeard("red", { timeoutMs: 20_000 });
  await lin.untilMain("red", 20_000);
  assert.equal(await lin.mainName(), "Ada");
  await ada.close();
  await lin.close();
});
