// Writing: to all and to one, for those who come late, across the death of an edge.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "../lib/chromium.mjs";
import { startMesh } from "../lib/mesh.mjs";
import { participant } from "../lib/participant.mjs";
import { by, gone, panel, read, says, untilRead, write } from "../lib/people.mjs";
import { SHOTS } from "../lib/shots.mjs";

let mesh;
let browser;
const silent = { turns: [], portrait: true, width: 320, height: 180 };

before(async () => {
  mesh = await startMesh();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await mesh?.stop();
});

const enter = (meeting, name, colour, region) => participant(browser, mesh.linkOf(meeting, region), { name, colour, media: silent });

test("a message reaches everybody, a private one only whom it is for, in one order", { timeout: 90_000 }, async () => {
  const meeting = await mesh.meeting();
  const ada = await enter(meeting, "Ada Lovelace", "red", "us-east-1");
  const eva = await enter(meeting, "Eva Zuse", "green", "eu-west-1");
  const lin = await enter(meeting, "Lin Wei", "blue", "ap-southeast-1");
  const all = [ada, eva, lin];
  for (const { page } of all) await says(page, "toggle-roster", "3");
  await write(ada.page, "Good morning!");
  await says(lin.page, "unread", "1");
  for (const { page } of all) await untilRead(page, "Good morning!");
  await gone(lin.page, "unread");
  await write(ada.page, "Between us: shall Lin begin?", await eva.id());
  await untilRead(eva.page, "Between us: shall Lin begin?");
  await write(eva.page, "Yes, let her.", await ada.id());
  await untilRead(ada.page, "Yes, let her.");
  const markup = "<b>slides</b> at https://example.org/ \u202eabc";
  await write(lin.page, markup);
  for (const { page } of all) await untilRead(page, markup);
  // All of it has the origin's order, so the private ones would stand before this one.
  assert.deepEqual(await read(lin.page), ["Good morning!", markup]);
  const whole = ["Good morning!", "Between us: shall Lin begin?", "Yes, let her.", markup];
  assert.deepEqual(await read(ada.page), whole);
  assert.deepEqual(await read(eva.page), whole);
  assert.equal(await eva.page.locator(`${by("chat-message")} :is(a, b)`).count(), 0, "text only");
  await eva.untilMain("red");
  await eva.shot(join(SHOTS, "chat-of-three.png"));
  const late = await enter(meeting, "Grace Hopper", "cyan", "us-east-1");
  await untilRead(late.page, markup);
  assert.deepEqual(await read(late.page), ["Good morning!", markup], "history without what is private");
  const names = await late.page.locator(`${by("chat-message")} strong`).allTextContents();
  assert.deepEqual(names, ["Ada Lovelace", "Lin Wei"]);
  for (const each of [...all, late]) assert.deepEqual(each.page.problems, [], each.name);
  for (const each of [...all, late]) await each.close();
});

test("what is written while an edge dies is written once; hand and mute stay", { timeout: 120_000 }, async () => {
  const meeting = await mesh.meeting("--origin-region", "us-east-1");
  const ada = await enter(meeting, "Ada", "red", "us-east-1");
  const lin = await enter(meeting, "Lin", "blue", "ap-southeast-1");
  await lin.page.click(by("mute-mic"));
  await lin.page.click(by("raise-hand"));
  await panel(ada.page, "people");
  const before = await lin.id();
  await ada.page.waitForSelector(by(`hand-${before}`));
  await write(lin.page, "Here I am.");
  await untilRead(ada.page, "Here I am.");
  await mesh.kill("ap-southeast-1-edge-1");
  await lin.page.waitForSelector('[data-testid=state][data-state="reconnecting"]', { timeout: 15_000 });
  await write(lin.page, "Can you hear me?");
  await write(lin.page, "Hello?");
  await write(ada.page, "She will be back.");
  await lin.page.waitForSelector('[data-testid=state][data-state="connected"]', { timeout: 20_000 });
  await write(ada.page, "Welcome back.");
  for (const { page } of [ada, lin]) {
    for (const text of ["Can you hear me?", "Hello?", "She will be back.", "Welcome back."]) await untilRead(page, text, 20_000);
  }
  const texts = (await read(ada.page)).sort();
  assert.deepEqual(texts, ["Can you hear me?", "Hello?", "Here I am.", "She will be back.", "Welcome back."], "each once");
  assert.deepEqual((await read(lin.page)).sort(), texts);
  assert.deepEqual(await read(lin.page), await read(ada.page), "in the same order");
  const again = await lin.id();
  assert.notEqual(again, before);
  await panel(ada.page, "people");
  await ada.page.waitForSelector(by(`hand-${again}`));
  await says(ada.page, `member-${again}`, "muted");
  await lin.page.waitForSelector(`${by("raise-hand")}[aria-pressed=true]`);
  await ada.close();
  await lin.close();
  await mesh.start("ap-southeast-1-edge-1");
});

test("an invitation without the right to write says so, and the edge holds to it", { timeout: 60_000 }, async () => {
  const meeting = await mesh.meeting();
  const ada = await enter(meeting, "Ada", "red", "us-east-1");
  const mute = await participant(browser, await mesh.invite(meeting, "eu-west-1", { chat: false }), { name: "Eva", colour: "green", media: silent });
  await write(ada.page, "Hello.");
  await untilRead(mute.page, "Hello.");
  await says(mute.page, "chat-refused", "does not allow writing");
  const refused = await mute.page.evaluate(() => window.mesh.meeting.sendChat("anyway").catch(({ code }) => code));
  assert.equal(refused, "forbidden");
  await ada.close();
  await mute.close();
});
