// The page with an edge inside it, and a verdict on how it looks: shared by the self-tests.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { accessible } from "../lib/axe.mjs";
import { inPageMedia } from "../lib/inpage.mjs";
import { SHOTS } from "../lib/shots.mjs";
import { fakeEdge, tell } from "./fake-edge.mjs";

/** The built page. */
export const DIST = fileURLToPath(new URL("../../../web/client/dist", import.meta.url));
export const DESK = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

/**
 * Opens the page.
 *
 * @param {object} from the browser
 * @param {{origin: string}} site
 * @param {object} [options]
 * @param {object} [options.edge] how the edge is, see `fakeEdge`
 * @param {string} [options.token] see `invitation`
 */
export async function opened(from, site, {
  query = "?name=Grace&autojoin=1&processing=0", size = DESK, media = { colour: "blue", portrait: true }, edge = {}, token = "abc.def.ghi",
} = {}) {
  const page = await from.newPage();
  await page.setViewportSize(size);
  await page.emulateMedia({ colorScheme: "dark" });
  if (media) await inPageMedia(page, media);
  await fakeEdge(page, edge);
  await page.goto(`${site.origin}/m/0a1b2c3d4e5fg${query}#token=${token}`);
  return page;
}

export const by = (id) => `[data-testid=${id}]`;
export const connected = (page) => page.waitForSelector('[data-testid=state][data-state="connected"]', { timeout: 10_000 });
export const shot = (page, name) => page.screenshot({ path: join(SHOTS, `${name}.png`) });

/** A picture is there in all elements that match. */
export const pictured = (page, selector) => page.waitForFunction(
  (s) => [...document.querySelectorAll(s)].some((video) => video.videoWidth > 0 && video.readyState >= 2), selector, { timeout: 10_000 });

/** The meeting as it is after a moment: pictures, and bars of quality. */
export async function lively(page) {
  await pictured(page, `${by("main-tile")} video`);
  await page.waitForSelector(by("own-quality"));
}

/** No colour is on its way to another one. */
const still = (page) => page.waitForFunction(() => document.getAnimations().every(({ playState }) => playState !== "running"));

async function inColours(page, scheme) {
  await page.emulateMedia({ colorScheme: scheme });
  await page.waitForSelector(`html[data-theme=${scheme}]`);
  await still(page);
}

/** A picture and the verdict, in dark and in light. */
export async function judged(page, name, { light = true } = {}) {
  await still(page);
  await shot(page, name);
  await accessible(page, `${name}, dark`);
  if (!light) return;
  await inColours(page, "light");
  await accessible(page, `${name}, light`);
  await shot(page, `${name}-light`);
  await inColours(page, "dark");
}

/** Nothing sticks out sideways. */
export const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);

/** Eleven more people, as the roster has them. */
const CROWD = ["Grace Hopper", "Katherine Johnson", "Edsger Dijkstra", "Radia Perlman", "Leslie Lamport", "Barbara Liskov",
  "Donald Knuth", "Margaret Hamilton", "Vint Cerf", "Frances Allen", "Tony Hoare"];
export const crowd = (page) => tell(page, {
  type: "roster", seq: 2, snapshot: false, removed: [],
  put: CROWD.map((name, i) => ({
    id: 20 + i, name, edge: 1, micMuted: i % 3 === 0, cameraOff: true, role: i === 4 ? "attendee" : "panelist", ...(i % 5 === 2 && { hand: 9 - i }),
  })),
});
