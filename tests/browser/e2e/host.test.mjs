// What a host does, and what those it is done to and everybody else see and hear of it.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "../lib/chromium.mjs";
import { startMesh } from "../lib/mesh.mjs";
import { participant } from "../lib/participant.mjs";
import { by, choose, gone, lead, panel, says, untilRead, write } from "../lib/people.mjs";
import { untilColour, watchVideo } from "../lib/probe.mjs";
import { SHOTS } from "../lib/shots.mjs";

let mesh;
let browser;
const small = { portrait: true, width: 320, height: 180 };
/** Who speaks when, so that one voice is heard at a time. */
const TURNS = { red: [[0, 2]], green: [[2, 4]], blue: [[4, 6]] };

before(async () => {
  mesh = await startMesh();
  browser = await launch();
});

after(async () => {
  await browser?.close();
  await mesh?.stop();
});

async function enter(meeting, name, colour, region, { grants = {}, ...options } = {}) {
  const link = await mesh.invite(meeting, region, { name, ...grants });
  const media = { ...small, turns: TURNS[colour] ?? [], loopSeconds: 6, ...options.media };
  return participant(browser, link, { name, colour, ...options, media });
}

/** Ada leads, Eva and Lin take part, each in another region. */
async function trio() {
  const meeting = await mesh.meeting();
  const ada = await enter(meeting, "Ada Lovelace", "red", "us-east-1", { grants: { host: true } });
  const eva = await enter(meeting, "Eva Zuse", "green", "eu-west-1", { media: { screen: "yellow" } });
  const lin = await enter(meeting, "Lin Wei", "blue", "ap-southeast-1", { media: { screen: "magenta" } });
  for (const { page } of [ada, eva, lin]) await says(page, "toggle-roster", "3");
  return { meeting, ada, eva, lin, all: [ada, eva, lin] };
}

const micOf = (page) => page.evaluate(() => window.mesh.meeting.isMuted("mic"));
const closeAll = async (all) => {
  for (const each of all) assert.deepEqual(each.page.problems, [], each.name);
  for (const each of all) await each.close();
};

test("mutes one, and they may speak again; turns off a camera", { timeout: 120_000 }, async () => {
  const { ada, eva, lin, all } = await trio();
  const id = await eva.id();
  await lin.untilHeard("green", { timeoutMs: 20_000 });
  await choose(ada.page, id, "do-mute-mic");
  await says(eva.page, "notice-mic", "Ada Lovelace muted your microphone.");
  assert.equal(await micOf(eva.page), true, "really muted, here");
  await eva.shot(join(SHOTS, "muted-by-host.png"));
  for (const { page } of [ada, lin]) {
    await panel(page, "people");
    await says(page, `member-${id}`, "muted");
  }
  // A whole round in which the others are heard, and she is not.
  const from = (await lin.voices()).length;
  await lin.untilHeard("red");
  await lin.untilHeard("red", { heard: false });
  await lin.untilHeard("red", { timeoutMs: 15_000 });
  const heard = (await lin.voices()).slice(from + 25).filter((sample) => sample.heard.includes("green")).length;
  assert.ok(heard < 10, `${heard} samples with her voice`);
  await eva.page.click(by("mute-mic"));
  await gone(eva.page, "notice-mic");
  await lin.untilHeard("green", { timeoutMs: 15_000 });
  await choose(ada.page, id, "do-stop-camera");
  await says(eva.page, "notice-camera", "turned off your camera");
  await says(lin.page, `member-${id}`, "no camera");
  await lin.page.waitForSelector(`figure[data-participant="${id}"] .initials`, { timeout: 10_000 });
  await closeAll(all);
});

test("mutes all but hosts, and all", { timeout: 90_000 }, async () => {
  const { ada, eva, lin, all } = await trio();
  await lead(ada.page, "mute-all-but-hosts");
  for (const { page } of [eva, lin]) await says(page, "notice-mic", "muted your microphone");
  assert.deepEqual(await Promise.all(all.map(({ page }) => micOf(page))), [false, true, true]);
  await lin.untilHeard("red", { timeoutMs: 15_000 });
  for (const { page } of [eva, lin]) await page.click(by("mute-mic"));
  await ada.untilHeard("green", { timeoutMs: 15_000 });
  await lead(ada.page, "mute-all");
  for (const { page } of [eva, lin]) await says(page, "notice-mic", "muted your microphone");
  await panel(ada.page, "people");
  for (const each of [eva, lin]) await says(ada.page, `member-${await each.id()}`, "muted");
  assert.deepEqual(await Promise.all([eva, lin].map(({ page }) => micOf(page))), [true, true]);
  await closeAll(all);
});

test("pins a share for everybody, and stops one", { timeout: 120_000 }, async () => {
  const { ada, eva, lin, all } = await trio();
  await watchVideo(ada.page, `${by("screen-tile")} video`, "screen");
  await eva.page.click(by("share-screen"));
  await untilColour(ada.page, "screen", "yellow", 20_000);
  await ada.page.click(by("pin-share"));
  await ada.page.waitForSelector(`${by("pin-share")}[aria-pressed=true]`);
  await ada.shot(join(SHOTS, "share-pinned-by-host.png"));
  await watchVideo(eva.page, `${by("screen-tile")} video`, "screen");
  await lin.page.click(by("share-screen"));
  // Eva does not see her own screen; Lin's is the only other one.
  await lin.page.waitForSelector(by("share-bar"));
  await says(ada.page, "screen-tile", "Eva Zuse shares a screen");
  await ada.page.click(by("pin-share"));
  await untilColour(ada.page, "screen", "magenta", 15_000);
  await ada.page.click(by("stop-share"));
  await says(lin.page, "notice-screen", "stopped your screen share");
  await gone(lin.page, "share-bar");
  await untilColour(ada.page, "screen", "yellow", 15_000);
  await choose(ada.page, await eva.id(), "do-stop-share");
  await gone(ada.page, "screen-tile");
  await closeAll(all);
});

test("hands: seen in order, lowered one and all", { timeout: 90_000 }, async () => {
  const { ada, eva, lin, all } = await trio();
  const [evaId, linId] = [await eva.id(), await lin.id()];
  await lin.page.click(by("raise-hand"));
  await panel(ada.page, "people");
  await ada.page.waitForSelector(by(`hand-${linId}`));
  await eva.page.click(by("raise-hand"));
  await ada.page.waitForSelector(by(`hand-${evaId}`));
  const order = () => ada.page.locator(`${by("roster")} > li`).evaluateAll((rows) => rows.map((row) => row.dataset.testid));
  assert.deepEqual((await order()).slice(0, 2), [`member-${linId}`, `member-${evaId}`]);
  await ada.page.waitForSelector(`figure[data-participant="${linId}"] ${by("hand-badge")}`);
  await ada.shot(join(SHOTS, "hands.png"));
  await choose(ada.page, linId, "do-lower-hand");
  await gone(ada.page, `hand-${linId}`);
  await lin.page.waitForSelector(`${by("raise-hand")}[aria-pressed=false]`);
  assert.equal(await ada.page.isVisible(by(`hand-${evaId}`)), true);
  await lead(ada.page, "lower-all-hands");
  await eva.page.waitForSelector(`${by("raise-hand")}[aria-pressed=false]`);
  await gone(lin.page, `hand-${evaId}`);
  await closeAll(all);
});

test("locks the meeting and the chat", { timeout: 120_000 }, async () => {
  const { meeting, ada, eva, lin, all } = await trio();
  await lead(ada.page, "set-locked");
  for (const { page } of all) await page.waitForSelector(by("locked"));
  const late = await enter(meeting, "Grace", "cyan", "us-east-1", { join: false });
  await late.page.click(by("join-button"));
  await says(late.page, "error", "locked");
  await late.shot(join(SHOTS, "meeting-locked.png"));
  await lead(ada.page, "set-locked");
  for (const { page } of all) await gone(page, "locked");
  await late.enter();
  await lead(ada.page, "set-chat-locked");
  await panel(eva.page, "chat");
  await says(eva.page, "chat-refused", "Only hosts may write now.");
  const refused = await eva.page.evaluate(() => window.mesh.meeting.sendChat("anyway").catch(({ code }) => code));
  assert.equal(refused, "forbidden", "the edge holds to it");
  await write(ada.page, "I may.");
  await untilRead(lin.page, "I may.");
  await lead(ada.page, "set-chat-locked");
  await gone(eva.page, "chat-refused");
  await write(eva.page, "Now I may too.");
  await untilRead(late.page, "Now I may too.");
  await closeAll([...all, late]);
});

test("removes somebody, who may come back; blocks somebody, who may not", { timeout: 120_000 }, async () => {
  const { ada, eva, lin, all } = await trio();
  const first = await eva.id();
  await choose(ada.page, first, "do-remove", "confirm-remove");
  await eva.page.waitForSelector(by("ended"));
  await says(eva.page, "end-reason", "removed");
  await eva.shot(join(SHOTS, "removed.png"));
  await panel(lin.page, "people");
  await gone(lin.page, `member-${first}`);
  await eva.page.click(by("rejoin"));
  await eva.arrived();
  const second = await eva.id();
  await panel(ada.page, "people");
  await ada.page.waitForSelector(by(`member-${second}`));
  await choose(ada.page, second, "do-remove", "confirm-block");
  await eva.page.waitForSelector(by("ended"));
  await eva.page.click(by("rejoin"));
  // Whether she is stopped at the door, or behind it when nobody else is at her edge.
  await eva.page.waitForSelector(`${by("error")}[data-code=forbidden]`, { timeout: 10_000 });
  await says(eva.page, "error", "removed you");
  await eva.shot(join(SHOTS, "blocked.png"));
  await gone(lin.page, `member-${second}`);
  await closeAll(all);
});

test("hands the meeting over and takes it back; nobody else may", { timeout: 90_000 }, async () => {
  const { ada, eva, lin, all } = await trio();
  await panel(lin.page, "people");
  assert.equal(await lin.page.isVisible(by("open-meeting-menu")), false);
  const refused = await lin.page.evaluate(() => window.mesh.meeting.host.lock(true).catch(({ code }) => code));
  assert.equal(refused, "forbidden", "the edge holds to it");
  await choose(ada.page, await eva.id(), "do-hand-over", "confirm-hand-over");
  await says(eva.page, "notice-role", "You are a host now.");
  await says(ada.page, "notice-role", "You are no longer a host.");
  await says(lin.page, `member-${await eva.id()}`, "host");
  await choose(eva.page, await lin.id(), "do-mute-mic");
  await says(lin.page, "notice-mic", "Eva Zuse muted your microphone.");
  await panel(ada.page, "people");
  await ada.page.click(by("reclaim"));
  await ada.page.waitForSelector(by("open-meeting-menu"));
  await says(eva.page, "notice-role", "You are no longer a host.");
  await gone(eva.page, "open-meeting-menu");
  await closeAll(all);
});

test("the waiting room: told, admitted, denied, all at once", { timeout: 120_000 }, async () => {
  const meeting = await mesh.meeting();
  const ada = await enter(meeting, "Ada Lovelace", "red", "us-east-1", { grants: { host: true } });
  await lead(ada.page, "set-waiting-room");
  const knock = async (name, colour, region) => {
    const each = await enter(meeting, name, colour, region, { join: false });
    await each.page.click(by("join-button"));
    await each.page.waitForSelector(by("waiting"), { timeout: 10_000 });
    return each;
  };
  const eva = await knock("Eva Zuse", "green", "eu-west-1");
  await eva.shot(join(SHOTS, "waiting-for-a-host.png"));
  await says(ada.page, "waiting-list", "Eva Zuse");
  await ada.shot(join(SHOTS, "somebody-waits.png"));
  await ada.page.click(`${by("waiting-list")} [aria-label="Admit Eva Zuse"]`);
  await eva.arrived();
  await gone(ada.page, "waiting-list");
  await eva.untilHeard("red", { timeoutMs: 15_000 });
  const mallory = await knock("Mallory", "orange", "ap-southeast-1");
  await says(ada.page, "waiting-list", "Mallory");
  await ada.page.click(`${by("waiting-list")} [aria-label="Deny Mallory"]`);
  await mallory.page.waitForSelector(`${by("error")}[data-code=forbidden]`, { timeout: 10_000 });
  await gone(ada.page, "waiting-list");
  const [lin, grace] = [await knock("Lin Wei", "blue", "ap-southeast-1"), await knock("Grace", "cyan", "us-east-1")];
  await says(ada.page, "waiting-list", "2 people");
  await ada.page.click(by("admit-all"));
  await lin.arrived();
  await grace.arrived();
  // Whoever does not wait any longer is not admitted by mistake.
  const tony = await knock("Tony", "yellow", "eu-west-1");
  await says(ada.page, "waiting-list", "Tony");
  await tony.page.click(by("give-up"));
  await tony.page.waitForSelector(by("join-button"));
  await gone(ada.page, "waiting-list");
  await closeAll([ada, eva, mallory, lin, grace, tony]);
});
