import { MeshError } from "./errors";
import type { ClientMessage } from "./generated/ClientMessage";
import type { ServerMessage } from "./generated/ServerMessage";

/** Version of the protocol spoken here: `SIGNAL_VERSION` of the edge. */
export const SIGNAL_VERSION = 1;
/** A ping goes out this often, and the socket is dead when the one before is unanswered: found within 10 s. */
export const PING_EVERY_MS = 5_000;

/** A message of one type. */
export type ServerMessageOf<T extends ServerMessage["type"]> = Extract<ServerMessage, { type: T }>;

/** The part of a WebSocket that is used here; `WebSocket` fits. */
export interface Socket {
  send(data: string): void;
  close(code?: number, reason?: string): void;
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  onerror: ((event: Event) => void) | null;
}

/** Opens a socket to an address. */
export type OpenSocket = (url: string) => Socket;

const KNOWN: ReadonlySet<string> = new Set<ServerMessage["type"]>([
  "joined",
  "edges",
  "renegotiated",
  "roster",
  "rosterPage",
  "waiting",
  "knocking",
  "settings",
  "role",
  "muted",
  "done",
  "floor",
  "slots",
  "chat",
  "error",
  "ended",
  "pong",
]);

/** Reads a text frame. A type that a newer edge may have added is nothing, not an error. */
export function parseServerMessage(data: unknown): ServerMessage | undefined {
  if (typeof data !== "string") return undefined;
  try {
    const value = JSON.parse(data) as { type?: unknown } | null;
    const known = typeof value?.type === "string" && KNOWN.has(value.type);
    return known ? (value as ServerMessage) : undefined;
  } catch {
    return undefined;
  }
}

/** An `error` message as an exception. */
export function refusal(message: ServerMessageOf<"error">): MeshError {
  return new MeshError(message.code, sentence(message.message), message.retryAfterMs ?? undefined, message.edges ?? []);
}

/** Servers write reasons as they do in logs; people read sentences. */
export function sentence(text: string): string {
  const whole = text.trim();
  return whole.charAt(0).toUpperCase() + whole.slice(1) + (/[.!?…]$/.test(whole) ? "" : ".");
}

/** What a {@link Signalling} tells. */
export interface SignallingHandlers {
  /** Every message that is neither an awaited answer nor a pong. */
  message(message: ServerMessage): void;
  /** The socket is gone. Not called after {@link Signalling.close}. */
  closed(error: MeshError): void;
  /** A join waits to be admitted by a host, for as long as that takes. */
  waiting?(): void;
}

interface Asked {
  readonly type: ServerMessage["type"];
  readonly resolve: (message: ServerMessage) => void;
  readonly reject: (error: MeshError) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** One signalling WebSocket: typed messages, awaited answers, and a pulse that finds a dead socket. */
export class Signalling {
  #asked: Asked | undefined;
  #pulse: ReturnType<typeof setInterval> | undefined;
  #pingId = 0;
  #unanswered = 0;
  /** A join is at the door: nobody there answers pings, which only keep the socket open. */
  #atDoor = false;
  #open = false;
  #done = false;

  private constructor(
    private readonly socket: Socket,
    private readonly handlers: SignallingHandlers,
  ) {}

  /** Connects, or throws a {@link MeshError}. */
  static open(
    url: string,
    handlers: SignallingHandlers,
    timeoutMs: number,
    openSocket: OpenSocket = (address) => new WebSocket(address),
  ): Promise<Signalling> {
    return new Promise((resolve, reject) => {
      let signalling: Signalling;
      const fail = (error: MeshError): void => {
        clearTimeout(timer);
        reject(error);
      };
      const timer = setTimeout(() => {
        signalling.close();
        fail(new MeshError("timeout", "The meeting server did not answer. Check the network and try again."));
      }, timeoutMs);
      try {
        signalling = new Signalling(openSocket(url), handlers);
      } catch {
        fail(new MeshError("network", `This is not the address of a meeting server: ${url}`));
        return;
      }
      signalling.#listen(() => {
        clearTimeout(timer);
        resolve(signalling);
      }, fail);
    });
  }

  /** Whether messages go out. */
  get isOpen(): boolean {
    return this.#open;
  }

  /** Sends, if the socket is open; a closed one is about to be replaced, and the state is then told anew. Whether it was. */
  send(message: ClientMessage): boolean {
    if (this.#open) this.socket.send(JSON.stringify(message));
    return this.#open;
  }

  /** Sends and waits for the answer of a type. A non-fatal or fatal `error` in between is the answer too. */
  request<T extends "joined" | "renegotiated">(
    message: ClientMessage,
    type: T,
    timeoutMs: number,
  ): Promise<ServerMessageOf<T>> {
    if (this.#asked) return Promise.reject(new MeshError("outOfOrder", "One request at a time, please."));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#asked = undefined;
        reject(new MeshError("timeout", "The meeting server did not answer in time. Try again."));
      }, timeoutMs);
      this.#asked = { type, resolve: resolve as (message: ServerMessage) => void, reject, timer };
      this.send(message);
    });
  }

  /** Closes without telling anybody. */
  close(): void {
    this.#stop();
    this.socket.close(1000, "bye");
  }

  #listen(opened: () => void, failed: (error: MeshError) => void): void {
    this.socket.onopen = () => {
      this.#open = true;
      this.#pulse = setInterval(() => this.#ping(), PING_EVERY_MS);
      opened();
    };
    this.socket.onmessage = (event) => this.#receive(event.data);
    this.socket.onerror = () => {};
    this.socket.onclose = () => {
      if (this.#done) return;
      const wasOpen = this.#open;
      this.#stop();
      const error = new MeshError("network", "The connection to the meeting server was lost.");
      if (wasOpen) this.handlers.closed(error);
      else failed(new MeshError("network", "The meeting server cannot be reached. Check the address and the network."));
    };
  }

  #receive(data: unknown): void {
    const message = parseServerMessage(data);
    if (!message || this.#done) return;
    if (message.type === "pong") {
      this.#unanswered = 0;
      return;
    }
    const asked = this.#asked;
    if (message.type === "waiting") {
      // Who must be let in has as long as the host takes.
      clearTimeout(asked?.timer);
      this.#atDoor = true;
      this.handlers.waiting?.();
      return;
    }
    if (asked && (message.type === asked.type || message.type === "error")) {
      this.#asked = undefined;
      this.#atDoor = false;
      this.#unanswered = 0;
      clearTimeout(asked.timer);
      if (message.type === "error") asked.reject(refusal(message));
      else asked.resolve(message);
      return;
    }
    this.handlers.message(message);
  }

  #ping(): void {
    if (this.#unanswered >= 2 && !this.#atDoor) {
      this.#stop();
      this.socket.close(4000, "no pong");
      this.handlers.closed(new MeshError("network", "The meeting server does not answer any more."));
      return;
    }
    this.#unanswered += 1;
    this.#pingId = (this.#pingId + 1) >>> 0;
    this.send({ type: "ping", id: this.#pingId });
  }

  #stop(): void {
    this.#done = true;
    this.#open = false;
    if (this.#pulse !== undefined) clearInterval(this.#pulse);
    const asked = this.#asked;
    this.#asked = undefined;
    if (!asked) return;
    clearTimeout(asked.timer);
    asked.reject(new MeshError("network", "The connection to the meeting server was lost."));
  }
}
