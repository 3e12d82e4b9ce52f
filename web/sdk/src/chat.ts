import { MeshError } from "./errors";
import type { ChatJson } from "./generated/ChatJson";
import type { ClientMessage } from "./generated/ClientMessage";
import type { ChatMessage } from "./types";

/** Characters of a message at most: `CHAT_CHARS_MAX` of the edge. */
export const CHAT_CHARS_MAX = 2_000;
/** Messages that are kept here; the mesh keeps 200 for those who come later. */
export const CHAT_KEPT_MAX = 1_000;
/** What has not come back for so long is said again, ms. */
export const CHAT_AGAIN_MS = 5_000;
/** How often a message is said before it has failed: a minute, in which an edge is replaced three times over. */
const TRIES_MAX = 12;
/** Who writes too fast waits this long, ms: an edge takes one message a second. */
const TOO_FAST_MS = 1_100;

interface Draft {
  readonly key: number;
  readonly atMs: number;
  readonly to: number | undefined;
  readonly text: string;
  readonly resolve: (message: ChatMessage) => void;
  readonly reject: (error: MeshError) => void;
  tries: number;
}

/** Who one is, for messages of one's own. */
export interface Writer {
  /** The own short id now. */
  self(): number | undefined;
  /** Whether this id is, or was, oneself. */
  isSelf(id: number): boolean;
  /** The own name. */
  name(): string;
}

/**
 * What was written, in the meeting's order, and what is on its way there. One message is on its way at a time: so a refusal is
 * known to be about it, and the order is the writer's. It is said again with the same key until it has come back; who told it
 * twice is told once.
 */
export class Chat {
  #messages: ChatJson[] = [];
  #drafts: Draft[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly writer: Writer,
    private readonly send: (message: ClientMessage) => boolean,
    private readonly changed: () => void,
    private readonly random: () => number = randomKey,
  ) {}

  /** Everything, oldest first; what is on its way stands at the end. */
  get messages(): readonly ChatMessage[] {
    const { writer } = this;
    const placed = this.#messages.map((message) => this.#shown(message));
    const pending = this.#drafts.map(({ key, atMs, to, text }) => {
      return { key, atMs, from: writer.self() ?? 0, name: writer.name(), to, text, own: true, pending: true };
    });
    return [...placed, ...pending];
  }

  /** Writes. Resolves when the meeting has it, rejects with what the edge says against it. */
  write(text: string, to: number | undefined): Promise<ChatMessage> {
    const length = [...text].length;
    if (text.trim() === "" || length > CHAT_CHARS_MAX) {
      return Promise.reject(new MeshError("malformed", `A message has 1 to ${CHAT_CHARS_MAX} characters.`));
    }
    return new Promise((resolve, reject) => {
      this.#drafts.push({ key: this.random(), atMs: Date.now(), to, text, resolve, reject, tries: 0 });
      if (this.#drafts.length === 1) this.#say();
      this.changed();
    });
  }

  /** Takes in what the edge tells: after a join what it kept, then each message. */
  receive(messages: readonly ChatJson[]): void {
    let news = false;
    for (const message of messages) {
      news = this.#settle(message) || news;
      if (this.#messages.some(({ key }) => key === message.key)) continue;
      this.#place(message);
      news = true;
    }
    if (news) this.changed();
  }

  /** Something was refused; whether it was about the message that is on its way. */
  refused(error: MeshError): boolean {
    const draft = this.#drafts[0];
    if (!draft || draft.tries === 0) return false;
    if (error.code === "tooMany") {
      this.#again(error.retryAfterMs ?? TOO_FAST_MS);
      return true;
    }
    if (error.code !== "forbidden" && error.code !== "malformed" && error.code !== "outOfOrder") return false;
    this.#fail(error);
    return true;
  }

  /** There is a new session: what has not come back is said there. */
  resume(): void {
    const draft = this.#drafts[0];
    if (!draft) return;
    draft.tries = 0;
    this.#say();
  }

  /** The meeting is over. */
  close(error: MeshError): void {
    clearTimeout(this.#timer);
    for (const draft of this.#drafts.splice(0)) draft.reject(error);
  }

  #say(): void {
    const draft = this.#drafts[0];
    clearTimeout(this.#timer);
    if (!draft) return;
    if (draft.tries >= TRIES_MAX) {
      this.#fail(new MeshError("timeout", "The message was not delivered. Send it again."));
      return;
    }
    const { key, to, text } = draft;
    // Without a socket nothing is lost: the next session says it.
    if (this.send({ type: "chat", key, ...(to === undefined ? {} : { to }), text })) draft.tries += 1;
    this.#again(CHAT_AGAIN_MS);
  }

  #again(inMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#say(), inMs);
  }

  #settle(message: ChatJson): boolean {
    const at = this.#drafts.findIndex(({ key }) => key === message.key);
    const draft = this.#drafts[at];
    if (!draft) return false;
    this.#drafts.splice(at, 1);
    draft.resolve(this.#shown(message));
    if (at === 0) this.#say();
    return true;
  }

  #fail(error: MeshError): void {
    this.#drafts.shift()?.reject(error);
    this.#say();
    this.changed();
  }

  /** Behind all that are not younger: what was missed while one was away comes late. */
  #place(message: ChatJson): void {
    let at = this.#messages.length;
    while (at > 0 && (this.#messages[at - 1]?.atMs ?? 0) > message.atMs) at -= 1;
    this.#messages.splice(at, 0, message);
    if (this.#messages.length > CHAT_KEPT_MAX) this.#messages.shift();
  }

  #shown({ key, atMs, from, name, to, text }: ChatJson): ChatMessage {
    return { key, atMs, from, name, to: to ?? undefined, text, own: this.writer.isSelf(from), pending: false };
  }
}

/** Below 2^53, so that JSON keeps it exact. */
function randomKey(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
  return (high >>> 11) * 2 ** 32 + low;
}
