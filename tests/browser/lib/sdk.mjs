// The SDK as its package has it, served to a page from an edge's own origin, and a crowd that joins with it from one page.
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { COLOURS } from "./code.mjs";

/** The package's folder. */
export const SDK = fileURLToPath(new URL("../../../web/sdk", import.meta.url));
const TYPES = { ".js": "text/javascript" };

/** Builds `web/sdk/dist`. */
export function buildSdk() {
  execFileSync(process.execPath, [join(SDK, "scripts/build.mjs")], { stdio: "inherit" });
}

/** Answers `/sdk/...` of a page with the package's files, whatever the page's origin is. */
async function serveSdk(page) {
  await page.route("**/sdk/**", async (route) => {
    const path = normalize(new URL(route.request().url()).pathname.replace(/^\/sdk\//, ""));
    await route.fulfill({ contentType: TYPES[extname(path)] ?? "text/plain", body: await readFile(join(SDK, path), "utf8") });
  });
}

/**
 * Many participants with cameras, no ears and no eyes, in one page: each is an SDK meeting with a small picture. The pictures are
 * grainy, so that each has more than the 150 kbit/s that an edge reckons with: it shows as many as the browser's estimate (REMB)
 * has room for, and that never exceeds 1.5 times what comes. With less than 300 kbit/s each it can stand still at a few pictures.
 *
 * @param {Awaited<ReturnType<import("./chromium.mjs").launch>>} browser
 * @param {string} link meeting link
 * @param {string[]} names one participant each
 * @returns {Promise<{page: object, people: {id: number, colour: string}[], leave: (n: number) => Promise<void>}>}
 */
export async function crowd(browser, link, names) {
  const page = await browser.newPage();
  await serveSdk(page);
  const { origin, hash } = new URL(link);
  const token = new URLSearchParams(hash.slice(1)).get("token");
  // A page that the edge itself has sent: to one that was made up here, browsers allow no socket to this machine.
  await page.goto(origin);
  const people = await page.evaluate(joinAll, { url: `${origin.replace("http", "ws")}/v1/signal`, token, names, colours: COLOURS });
  return { page, people, leave: (n) => page.evaluate((i) => window.__crowd[i].leave(), n) };
}

/** Runs in the page. */
async function joinAll({ url, token, names, colours }) {
  const { Mesh } = await import("/sdk/dist/index.js");
  window.__crowd = [];
  const [width, height, fps] = [160, 90, 8];
  const RATE_BPS = 320_000;
  const all = Object.entries(colours);
  const track = (i) => {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const ctx = canvas.getContext("2d");
    const [, rgb] = all[i % all.length];
    const picture = canvas.captureStream(0).getVideoTracks()[0];
    const shade = (by) => `rgb(${rgb.map((value) => Math.round(value * by)).join(" ")})`;
    let frame = i;
    setInterval(() => {
      ctx.fillStyle = shade(0.4);
      ctx.fillRect(0, 0, width, height);
      ctx.fillStyle = shade(1);
      ctx.beginPath();
      ctx.ellipse(width / 2 + Math.sin((frame += 1) / 3) * 2, height * 1.05, width * 0.27, height * 0.42, 0, 0, 7);
      ctx.rect(width / 2 - 9, height * 0.5, 18, 20);
      ctx.ellipse(width / 2, height * 0.4, height * 0.17, height * 0.21, 0, 0, 7);
      ctx.fill();
      for (let grain = 0; grain < 500; grain += 1) {
        ctx.fillStyle = shade(0.5 + Math.random() * 0.5);
        // The middle stays plain: there the probe looks at the colour.
        const x = Math.random() * width;
        ctx.fillRect(Math.abs(x - width / 2) < 14 ? 2 : x, Math.random() * height, 3, 3);
      }
      picture.requestFrame();
    }, 1_000 / fps);
    return picture;
  };
  const people = [];
  for (const [i, name] of names.entries()) {
    const media = { audio: false, video: track(i) };
    const meeting = await Mesh.join({ url, token, name, media, slots: { audio: 0, video: 0, screen: 0 } });
    window.__crowd.push(meeting);
    const sender = meeting.pc.getSenders().find((one) => one.track?.kind === "video");
    const parameters = sender.getParameters();
    parameters.encodings[0].maxBitrate = RATE_BPS;
    await sender.setParameters(parameters);
    people.push({ id: meeting.participantId, colour: all[i % all.length][0] });
  }
  return people;
}
