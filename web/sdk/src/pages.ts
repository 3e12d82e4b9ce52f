import { MeshError } from "./errors";
import type { ClientMessage } from "./generated/ClientMessage";
import type { ServerMessageOf } from "./signalling";
import type { RosterPage } from "./types";

const PAGE_TIMEOUT_MS = 10_000;
/** Who turns pages too fast waits this long, ms: an edge gives one a second. */
const TOO_FAST_MS = 1_100;

/** Which part of the roster is wanted. */
export interface PageQuery {
  /** After this participant, by id: the `next` of the page before. */
  readonly after?: number | undefined;
  /** Only names that contain this, whatever the case. */
  readonly search?: string | undefined;
}

interface Asked {
  readonly query: PageQuery;
  readonly resolve: (page: RosterPage) => void;
  readonly reject: (error: MeshError) => void;
}

/** Asks for parts of the roster, one after the other: an answer does not say what it answers. */
export class RosterPages {
  #asked: Asked[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly send: (message: ClientMessage) => boolean) {}

  ask(query: PageQuery): Promise<RosterPage> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ query, resolve, reject });
      if (this.#asked.length === 1) this.#say();
    });
  }

  answered({ members, next }: ServerMessageOf<"rosterPage">): void {
    this.#asked.shift()?.resolve({ members, next: next ?? undefined });
    this.#say();
  }

  /** Something was refused; whether it may have been a page. */
  refused(error: MeshError): boolean {
    if (error.code !== "tooMany" || this.#asked.length === 0) return false;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#say(), error.retryAfterMs ?? TOO_FAST_MS);
    return true;
  }

  abandon(error: MeshError): void {
    clearTimeout(this.#timer);
    for (const { reject } of this.#asked.splice(0)) reject(error);
  }

  #say(): void {
    clearTimeout(this.#timer);
    const first = this.#asked[0];
    if (!first) return;
    const { after, search } = first.query;
    const message = { type: "rosterPage", ...(after === undefined ? {} : { after }), ...(search ? { search } : {}) } as const;
    if (!this.send(message)) {
      this.abandon(new MeshError("network", "The connection to the meeting server was lost."));
      return;
    }
    this.#timer = setTimeout(() => {
      this.abandon(new MeshError("timeout", "The meeting server did not answer in time. Try again."));
    }, PAGE_TIMEOUT_MS);
  }
}
