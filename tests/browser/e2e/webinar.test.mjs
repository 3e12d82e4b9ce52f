// A webinar: attendees see and hear, write and raise hands; one is promoted, is seen and heard, and is demoted again.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "../lib/chromium.mjs";
import { say } from "../lib/figures.mjs";
import { startMesh } from "../lib/mesh.mjs";
import { participant } from "../lib/participant.mjs";
import { by, choose, gone, panel, says, untilRead, write } from "../lib/people.mjs";
import { untilColour, watchVideo } from "../lib/probe.mjs";
import { SHOTS } from "../lib/shots.mjs";

let mesh;
let browser;
const small = { portrait: true, width: 320, height: 180 };

before(async () => {
  mesh = await startMesh();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await mesh?.stop();
});

test("an attendee is promoted and demoted", { timeout: 180_000 }, async () => {
  const meeting = await mesh.meeting();
  const enter = async (name, colour, region, grants, media = {}) =>
    participant(browser, await mesh.invite(meeting, region, { name, ...grants }), { name, colour, media: { ...small, ...media }, join: false });
  const ada = await enter("Ada Lovelace", "red", "us-east-1", { host: true }, { turns: [[0, 2]], loopSeconds: 4 });
  await ada.enter();
  const eva = await enter("Eva Zuse", "green", "eu-west-1", {}, { turns: [] });
  await eva.enter();
  const lin = await enter("Lin Wei", "blue", "ap-southeast-1", { publish: false }, { turns: [[2, 4]], loopSeconds: 4 });
  await lin.page.waitForSelector(by("attendee-note"));
  assert.equal(await lin.page.locator(by("preview")).count(), 0, "no devices are asked for");
  const asked = () => lin.page.evaluate(() => window.__media.turns.length);
  await lin.enter();
  const id = await lin.id();

  // Sees and hears, is neither seen nor heard.
  await lin.untilMain("red", 20_000);
  await lin.untilHeard("red", { timeoutMs: 15_000 });
  assert.equal(await asked(), 0, "no microphone was opened");
  assert.equal(await lin.page.evaluate(() => window.mesh.meeting.pc.getSenders().filter(({ track }) => track).length), 0);
  await panel(eva.page, "people");
  await says(eva.page, `member-${id}`, "watching");
  assert.equal(await eva.page.locator(`figure[data-participant="${id}"]`).count(), 0);
  await lin.shot(join(SHOTS, "webinar-attendee.png"));

  // Writes and raises a hand.
  await write(lin.page, "A question!");
  await untilRead(ada.page, "A question!");
  await lin.page.click(by("raise-hand"));
  await panel(ada.page, "people");
  await ada.page.waitForSelector(by(`hand-${id}`));

  // Promoted with one renegotiation.
  await lin.page.evaluate(() => {
    const { pc } = window.mesh.meeting;
    window.__offers = 0;
    const offer = pc.createOffer.bind(pc);
    pc.createOffer = (...args) => ((window.__offers += 1), offer(...args));
  });
  await choose(ada.page, id, "do-role-panelist");
  await says(lin.page, "notice-role", "You are a panelist now");
  const promoted = Date.now();
  await lin.shot(join(SHOTS, "promoted-to-panelist.png"));
  await lin.page.click(by("turn-on-mic"));
  await lin.page.click(by("turn-on-camera"));
  await eva.page.waitForSelector(`figure[data-participant="${id}"] video`, { timeout: 20_000 });
  await watchVideo(eva.page, `figure[data-participant="${id}"] video`, "promoted");
  await untilColour(eva.page, "promoted", "blue", 20_000);
  await eva.untilHeard("blue", { timeoutMs: 20_000 });
  say(`a promoted attendee was seen and heard in another region ${Date.now() - promoted} ms after being told`);
  assert.equal(await lin.page.evaluate(() => window.__offers), 1, "one renegotiation");
  await ada.untilHeard("blue", { timeoutMs: 15_000 });

  // And back among those who watch.
  await choose(ada.page, id, "do-role-attendee");
  await says(lin.page, "notice-role", "You are an attendee now");
  await gone(lin.page, "self-tile");
  assert.equal(await lin.page.evaluate(() => window.mesh.meeting.localStream.getTracks().length), 0, "the devices are let go");
  await eva.untilHeard("blue", { heard: false, timeoutMs: 10_000 });
  await eva.page.waitForFunction((i) => !document.querySelector(`figure[data-participant="${i}"]`), id, { timeout: 10_000 });
  await lin.untilHeard("red", { timeoutMs: 15_000 });
  for (const each of [ada, eva, lin]) assert.deepEqual(each.page.problems, [], each.name);
  for (const each of [ada, eva, lin]) await each.close();
});
