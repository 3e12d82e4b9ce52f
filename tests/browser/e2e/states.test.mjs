// What people see of each other and of what goes wrong; and one large picture without simulcast.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "../lib/chromium.mjs";
import { say } from "../lib/figures.mjs";
import { startMesh } from "../lib/mesh.mjs";
import { participant } from "../lib/participant.mjs";
import { SHOTS } from "../lib/shots.mjs";

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

/** A meeting of its own for each test, so that nobody of another test is in it. */
async function meet(people, ...flags) {
  const meeting = await mesh.meeting(...flags);
  const all = [];
  for (const { edge, region, ...options } of people) {
    const link = mesh.linkOf(meeting, region);
    all.push(await participant(browser, edge ? mesh.through(link, edge) : link, options));
  }
  return all;
}

const says = (page, id, wanted, timeout = 10_000) =>
  page.waitForFunction(([i, w]) => document.querySelector(`[data-testid=${i}]`)?.textContent.includes(w), [id, wanted], { timeout })
    .catch(async () => assert.fail(`${id} does not say "${wanted}" but "${await page.textContent(`[data-testid=${id}]`, { timeout: 100 }).catch(() => "nothing")}"`));

const gone = (page, id, timeout = 10_000) => page.waitForSelector(`[data-testid=${id}]`, { state: "detached", timeout });

test("720p alone, without simulcast, is seen at 1280x720", { timeout: 60_000 }, async () => {
  const [ada, lin] = await meet([
    { name: "Ada", colour: "red", region: "us-east-1", media: { width: 1280, height: 720 }, page: { simulcast: 0 } },
    { name: "Lin", colour: "blue", region: "ap-southeast-1", media: { turns: [] } },
  ]);
  await lin.untilMain("red", 20_000);
  await lin.page.waitForFunction(() => {
    const last = window.__probe.videos.main.frames.at(-1);
    return last?.colour === "red" && last.width === 1280 && last.height === 720;
  }, undefined, { timeout: 15_000 }).catch(async () => assert.fail(JSON.stringify((await lin.mainFrames()).at(-1))));
  await ada.close();
  await lin.close();
});

test("muting, a camera that goes off, and leaving are seen by the others", { timeout: 90_000 }, async () => {
  const [ada, eva, lin] = await meet([
    { name: "Ada", colour: "red", region: "us-east-1", media: { portrait: true } },
    { name: "Eva", colour: "green", region: "eu-west-1", media: { turns: [], portrait: true } },
    { name: "Lin", colour: "blue", region: "ap-southeast-1", media: { turns: [], portrait: true } },
  ]);
  const id = await ada.id();
  for (const other of [eva, lin]) {
    await other.untilMain("red", 15_000);
    await other.untilHeard("red", { timeoutMs: 15_000 });
  }
  await ada.page.click("[data-testid=mute-mic]");
  for (const other of [eva, lin]) {
    await says(other.page, `member-${id}`, "muted");
    await other.page.waitForSelector("[data-testid=main-tile] [aria-label='microphone muted']");
    await other.untilHeard("red", { heard: false });
  }
  await lin.shot(join(SHOTS, "speaker-muted.png"));
  await ada.page.click("[data-testid=mute-camera]");
  for (const other of [eva, lin]) {
    await says(other.page, `member-${id}`, "no camera");
    await other.page.waitForSelector(`[data-participant="${id}"] .initials`, { timeout: 10_000 });
  }
  await lin.shot(join(SHOTS, "camera-off.png"));
  await ada.shot(join(SHOTS, "self-muted.png"));
  await ada.page.click("[data-testid=mute-camera]");
  await ada.page.click("[data-testid=mute-mic]");
  for (const other of [eva, lin]) {
    await other.untilHeard("red");
    await other.untilMain("red");
  }
  await ada.leave();
  for (const other of [eva, lin]) {
    await gone(other.page, `member-${id}`);
    await other.page.waitForFunction((who) => !document.querySelector(`[data-participant="${who}"]:is(figure)`), id, { timeout: 10_000 });
  }
  assert.equal(await ada.page.textContent("[data-testid=end-reason]"), "You left the meeting.");
  for (const each of [ada, eva, lin]) assert.deepEqual(each.page.problems, [], each.name);
  for (const each of [ada, eva, lin]) await each.close();
});

test("two edges of one region see and hear each other", { timeout: 60_000 }, async () => {
  const [ada, eva] = await meet([
    { name: "Ada", colour: "red", region: "eu-west-1", edge: "eu-west-1-edge-1", media: { turns: [[0, 2]], loopSeconds: 4 } },
    { name: "Eva", colour: "green", region: "eu-west-1", edge: "eu-west-1-edge-2", media: { turns: [[2, 4]], loopSeconds: 4 } },
  ], "--origin-region", "us-east-1");
  const node = (each) => each.page.evaluate(() => window.mesh.meeting.node);
  assert.deepEqual([await node(ada), await node(eva)], ["eu-west-1-edge-1", "eu-west-1-edge-2"]);
  await Promise.all([eva.untilHeard("red", { timeoutMs: 15_000 }), ada.untilHeard("green", { timeoutMs: 15_000 })]);
  await Promise.all([eva.untilMain("red"), ada.untilMain("green")]);
  assert.deepEqual([await ada.mainName(), await eva.mainName()], ["Eva", "Ada"]);
  await ada.close();
  await eva.close();
});

test("the form, and what a wrong invitation is told", { timeout: 40_000 }, async () => {
  const meeting = await mesh.meeting();
  const link = mesh.linkOf(meeting, "us-east-1");
  const form = await participant(browser, link, { name: "Ada Lovelace", colour: "red", media: { portrait: true }, join: false });
  await form.page.waitForSelector('[data-testid=preview][data-camera="live"]');
  await form.shot(join(SHOTS, "join-form.png"));
  await form.close();
  const [head, , signature] = meeting.token.split(".");
  const forged = [head, Buffer.from(JSON.stringify({ meeting: meeting.meeting })).toString("base64url"), signature].join(".");
  for (const [what, token] of [["forged", forged], ["nonsense", "abc.def.ghi"]]) {
    const page = await participant(browser, link.replace(meeting.token, token), { name: "Mallory", colour: "red", join: false });
    await page.page.click("[data-testid=join-button]");
    await page.page.waitForSelector('[data-testid=error][data-code="token"]', { timeout: 10_000 });
    const said = (await page.page.textContent("[data-testid=error]")).trim();
    say(`a ${what} token: ${said}`);
    assert.match(said, /link|invitation|token/i);
    if (what === "forged") await page.shot(join(SHOTS, "wrong-invitation.png"));
    await page.close();
  }
});

test("a dead origin and a dead edge are told, and do not hang the page", { timeout: 120_000 }, async () => {
  const [ada, lin] = await meet([
    { name: "Ada", colour: "red", region: "us-east-1" },
    { name: "Lin", colour: "blue", region: "ap-southeast-1", media: { turns: [] } },
  ], "--origin-region", "eu-west-1");
  await lin.untilMain("red", 15_000);
  await mesh.kill("eu-west-1-origin-1");
  for (const each of [ada, lin]) {
    await each.page.waitForSelector('[data-testid=state][data-state="reconnecting"]', { timeout: 15_000 });
    await says(each.page, "error", "other regions cannot be reached");
  }
  await lin.untilHeard("red", { heard: false, timeoutMs: 5_000 });
  await lin.shot(join(SHOTS, "origin-lost.png"));
  await mesh.start("eu-west-1-origin-1");
  for (const each of [ada, lin]) await each.page.waitForSelector('[data-testid=state][data-state="connected"]', { timeout: 30_000 });
  await gone(lin.page, "error");
  await lin.untilHeard("red", { timeoutMs: 15_000 });
  await lin.untilMain("red", 10_000);
  const node = () => lin.page.evaluate(() => window.mesh.meeting.node);
  await mesh.kill("ap-southeast-1-edge-1");
  const killed = Date.now();
  await lin.page.waitForSelector('[data-testid=state][data-state="reconnecting"]', { timeout: 15_000 });
  await lin.page.waitForSelector('[data-testid=state][data-state="connected"]', { timeout: 15_000 });
  say(`the edge dies: at another one, ${await node()}, after ${Date.now() - killed} ms`);
  assert.notEqual(await node(), "ap-southeast-1-edge-1");
  await lin.untilHeard("red", { timeoutMs: 15_000 });
  await lin.untilMain("red", 10_000);
  const edges = ["us-east-1-edge-1", "eu-west-1-edge-1", "eu-west-1-edge-2"];
  for (const edge of edges) await mesh.kill(edge);
  for (const each of [ada, lin]) await says(each.page, "banner", "Reconnecting");
  await lin.shot(join(SHOTS, "reconnecting.png"));
  for (const edge of [...edges, "ap-southeast-1-edge-1"]) await mesh.start(edge);
  for (const each of [ada, lin]) await each.page.waitForSelector('[data-testid=state][data-state="connected"]', { timeout: 30_000 });
  await lin.untilHeard("red", { timeoutMs: 20_000 });
  await ada.close();
  await lin.close();
});
