import { MeshError, type ChatMessage, type Meeting } from "@mesh/sdk";
import { locale } from "./i18n/locale.svelte";
import { announcer } from "./ui/announcer.svelte";

/** Somebody to whom a message goes. */
export interface Recipient {
  readonly id: number;
  readonly name: string;
}

/** The chat as the page shows it. */
export class ChatState {
  messages = $state.raw<readonly ChatMessage[]>([]);
  /** Written by others while the panel was closed. */
  unread = $state(0);
  draft = $state("");
  /** To whom alone; none: to everybody. */
  to = $state.raw<Recipient | undefined>();
  error = $state.raw<MeshError | undefined>();
  #meeting: Meeting | undefined;
  #seen = new Set<number>();

  constructor(private readonly isOpen: () => boolean) {}

  follow(meeting: Meeting): void {
    this.#meeting = meeting;
    this.#seen = new Set();
    this.unread = 0;
    this.to = undefined;
    this.error = undefined;
    this.#show(meeting.chat);
    meeting.on("chat", (messages) => this.#show(messages));
  }

  /** Sends the draft. What is refused is given back. */
  async send(): Promise<void> {
    const text = this.draft.trim();
    if (!this.#meeting || text === "") return;
    this.draft = "";
    this.error = undefined;
    try {
      await this.#meeting.sendChat(text, { to: this.to?.id });
    } catch (cause) {
      this.error = cause instanceof MeshError ? cause : new MeshError("network", String(cause));
      if (this.draft === "") this.draft = text;
    }
  }

  /** All is read. */
  read(): void {
    this.unread = 0;
  }

  #show(messages: readonly ChatMessage[]): void {
    const news = messages.filter(({ key, pending }) => !pending && !this.#seen.has(key));
    for (const { key } of news) this.#seen.add(key);
    this.messages = messages;
    const others = news.filter(({ own }) => !own);
    if (others.length === 0 || this.isOpen()) return;
    this.unread += others.length;
    const { said } = locale.t;
    const [only] = others;
    announcer.say(others.length === 1 && only ? said.wrote(only.name) : said.wroteMany(others.length));
  }
}
