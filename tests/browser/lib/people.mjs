// What people do with each other on the page: write, raise hands, lead. By the buttons a person has.
import assert from "node:assert/strict";

export const by = (id) => `[data-testid=${id}]`;

/** Waits until an element says something; fails with what it says instead. */
export const says = (page, id, wanted, timeout = 10_000) =>
  page.waitForFunction(([i, w]) => document.querySelector(`[data-testid=${i}]`)?.textContent.includes(w), [id, wanted], { timeout })
    .catch(async () => assert.fail(`${id} does not say "${wanted}" but "${await page.textContent(by(id), { timeout: 100 }).catch(() => "nothing")}"`));

export const gone = (page, id, timeout = 10_000) => page.waitForSelector(by(id), { state: "detached", timeout });

/** Opens a panel beside the pictures, if it is not open. */
export async function panel(page, which) {
  // Not the list in it: an empty one is not visible.
  const [button, id] = { people: ["toggle-roster", "close-roster"], chat: ["toggle-chat", "close-chat"] }[which];
  if (!(await page.isVisible(by(id)))) await page.click(by(button));
  await page.waitForSelector(by(id));
}

/** Does something with somebody: their menu, and one entry after the other. */
export async function choose(page, id, ...entries) {
  await panel(page, "people");
  await page.click(by(`menu-${id}`));
  for (const entry of entries) await page.click(by(entry));
}

/** An entry of the host's menu of the meeting. */
export async function lead(page, entry) {
  await panel(page, "people");
  if ((await page.getAttribute(by("open-meeting-menu"), "aria-expanded")) === "false") await page.click(by("open-meeting-menu"));
  await page.click(by(entry));
}

/** Writes to everybody, or to one. */
export async function write(page, text, to) {
  await panel(page, "chat");
  await page.selectOption(by("chat-to"), to === undefined ? "" : String(to));
  await page.fill(by("chat-text"), text);
  await page.click(by("chat-send"));
}

/** What stands in the chat, as a person reads it. */
export async function read(page) {
  await panel(page, "chat");
  return page.locator(`${by("chat-message")}:not(.pending) .text`).allTextContents();
}

/** Waits until a message is read. */
export async function untilRead(page, text, timeout = 10_000) {
  await panel(page, "chat");
  await page.waitForFunction(
    (wanted) => [...document.querySelectorAll("[data-testid=chat-message]:not(.pending) .text")].some((one) => one.textContent === wanted),
    text, { timeout },
  ).catch(async () => assert.fail(`"${text}" is not in the chat but ${JSON.stringify(await read(page))}`));
}
