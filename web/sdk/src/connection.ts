import type { Backoff } from "./backoff";
import { MeshError } from "./errors";
import type { ClientMessage } from "./generated/ClientMessage";
import type { ServerMessage } from "./generated/ServerMessage";
import { signalUrlOf } from "./link";
import type { JoinOptions } from "./options";
import type { Peer } from "./peer";
import { openSession, type Session } from "./session";
import { refusal, sentence, type OpenSocket, type ServerMessageOf, type SignallingHandlers } from "./signalling";
import type { MeetingState, Reconnection } from "./types";
import { asMeshError, sleep } from "./util";

/** A path that was silent this long gets an ICE restart, ms; most short gaps heal before. */
const RESTART_AFTER_MS = 2_000;
/** An old peer is kept this long for a new one to connect, ms. */
const OLD_PEER_MS = 5_000;

/** Whoever owns a {@link Connection} and is told. */
export interface ConnectionOwner {
  readonly newPeer: () => Peer;
  readonly openSocket: OpenSocket | undefined;
  readonly backoff: Backoff;
  /** A session is the current one from now on: everything is to be said to it. */
  adopt(session: Session): Promise<void>;
  /** Its peer plays: receivers are to be taken from it. */
  attach(peer: Peer): void;
  /** An offer was answered. */
  negotiated(answer: ServerMessageOf<"renegotiated">, peer: Peer): void;
  /** Every message that is not about the connection itself. */
  message(message: ServerMessage): void;
  /** A refusal that is not fatal; whether somebody was waiting for it. */
  refused(error: MeshError): boolean;
  /** The socket is gone: nobody will answer any more. */
  unanswered(error: MeshError): void;
  state(state: MeetingState): void;
  reconnecting(next: Reconnection): void;
  error(error: MeshError): void;
  ended(reason: string): void;
}

/** The way to an edge: one session after the other. Restarts ICE, joins again here or elsewhere, ends. */
export class Connection {
  #session: Session | undefined;
  #state: MeetingState = "connecting";
  #negotiation: Promise<unknown> = Promise.resolve();
  #restart: ReturnType<typeof setTimeout> | undefined;
  /** Signalling addresses of other edges, for when this one is gone. */
  #others: readonly string[] = [];
  /** The session whose successor is being looked for. */
  #leaving: Session | undefined;
  /** Gives up a join that is on its way when the meeting ends. */
  readonly #over = new AbortController();

  constructor(
    private readonly options: JoinOptions,
    private readonly owner: ConnectionOwner,
  ) {}

  /** The session that is used now. */
  get session(): Session | undefined {
    return this.#session;
  }

  get state(): MeetingState {
    return this.#state;
  }

  /** The first join. */
  async join(ready: Promise<void>): Promise<void> {
    const { signal } = this.options;
    const give = (): void => this.#over.abort();
    if (signal?.aborted) give();
    signal?.addEventListener("abort", give);
    try {
      await this.#enter(this.options.url, ready);
    } finally {
      signal?.removeEventListener("abort", give);
    }
  }

  /** Says something, if there is a socket; whether there was. What must not be lost is said again in `adopt`. */
  send(message: ClientMessage): boolean {
    return this.#session?.signalling.send(message) ?? false;
  }

  /** One offer after the other; a refused one is taken back. */
  renegotiate(options: { restart?: boolean } = {}): Promise<void> {
    const run = this.#negotiation.then(async () => {
      const session = this.#session;
      if (!session || this.#isOver()) return;
      const { peer, signalling } = session;
      try {
        const sdp = await peer.offer(options);
        const publish = peer.publishLines();
        const request = { type: "renegotiate", sdp, publish } as const;
        const answer = await signalling.request(request, "renegotiated", this.options.timeoutMs ?? 10_000);
        await peer.accept(answer.sdp);
        this.owner.negotiated(answer, peer);
      } catch (cause) {
        await peer.rollback().catch(() => {});
        throw asMeshError(cause);
      }
    });
    this.#negotiation = run.catch(() => {});
    return run;
  }

  /** The edge has the whole meeting again. */
  reached(): void {
    const connected = this.#session?.peer.pc.connectionState === "connected" && this.#session !== this.#leaving;
    if (this.#state === "reconnecting" && connected) this.#become("connected");
  }

  /** It is over. */
  end(reason: string): void {
    if (this.#state === "ended") return;
    clearTimeout(this.#restart);
    this.#over.abort();
    if (this.#session) closeSession(this.#session);
    this.owner.unanswered(new MeshError("ended", reason));
    this.#become("ended");
    this.owner.ended(reason);
  }

  async #enter(url: string, ready?: Promise<void>): Promise<void> {
    const handlers: SignallingHandlers = {
      message: (message) => this.#receive(message),
      closed: (error) => this.#lost(error),
      waiting: () => {
        if (this.#session) this.#become("waiting");
        else this.options.onWaiting?.();
      },
    };
    const { newPeer, openSocket } = this.owner;
    const session = await openSession(url, this.options, { newPeer, openSocket }, handlers, ready, this.#over.signal);
    if (this.#isOver()) {
      closeSession(session);
      return;
    }
    await this.#adopt(session);
    session.release();
  }

  /** Makes a session the current one. The old peer plays on until the new one is connected. */
  async #adopt(session: Session): Promise<void> {
    const old = this.#session;
    this.#session = session;
    const { peer } = session;
    if (this.#state === "waiting") this.#become("reconnecting");
    const attach = (): void => this.owner.attach(peer);
    const retire = (): void => {
      clearTimeout(late);
      if (session === this.#session) attach();
      old?.peer.close();
    };
    const late = old ? setTimeout(retire, OLD_PEER_MS) : undefined;
    peer.pc.onconnectionstatechange = () => {
      if (peer.pc.connectionState === "connected") retire();
      this.#follow(session);
    };
    await this.owner.adopt(session);
    if (!old) attach();
    this.#follow(session);
  }

  #follow(session: Session): void {
    if (session !== this.#session || session === this.#leaving || this.#isOver()) return;
    const state = session.peer.pc.connectionState;
    clearTimeout(this.#restart);
    if (state === "connected") {
      this.owner.backoff.reset();
      this.#become("connected");
    } else if (state === "disconnected") {
      this.#become("reconnecting");
      this.#restart = setTimeout(() => void this.#restartIce(session), RESTART_AFTER_MS);
    } else if (state === "failed") {
      this.#lost(new MeshError("network", "The media connection was lost."));
    }
  }

  async #restartIce(session: Session): Promise<void> {
    if (session !== this.#session || this.#isOver()) return;
    try {
      await this.renegotiate({ restart: true });
    } catch (cause) {
      this.#lost(asMeshError(cause));
    }
  }

  /** The socket or the path is gone: joins again, here or at an edge that was named. */
  #lost(error: MeshError): void {
    const session = this.#session;
    if (!session || session === this.#leaving || this.#isOver()) return;
    this.#leaving = session;
    session.signalling.close();
    this.owner.unanswered(error);
    this.owner.error(error);
    this.#become("reconnecting");
    void this.#rejoin(session, error);
  }

  async #rejoin(from: Session, first: MeshError): Promise<void> {
    let urls = [from.url, ...this.#others];
    let error = first;
    for (let i = 0; this.#session === from; i += 1) {
      const inMs = this.owner.backoff.next(error.retryAfterMs);
      this.owner.reconnecting({ attempt: i + 1, inMs, error });
      await sleep(inMs);
      if (this.#isOver()) return;
      try {
        await this.#enter(urls[i % urls.length] ?? from.url);
        return;
      } catch (cause) {
        if (this.#isOver()) return;
        error = asMeshError(cause);
        if (!error.retryable) {
          this.owner.error(error);
          this.end(error.message);
          return;
        }
        this.#become("reconnecting");
        if (error.edges.length > 0) urls = [from.url, ...error.edges.map(signalUrlOf)];
      }
    }
  }

  #receive(message: ServerMessage): void {
    switch (message.type) {
      case "edges":
        this.#others = message.edges.map(signalUrlOf);
        break;
      case "error":
        this.#refused(message);
        break;
      case "ended":
        this.end(sentence(message.reason));
        break;
      default:
        this.owner.message(message);
    }
  }

  #refused(message: ServerMessageOf<"error">): void {
    const error = refusal(message);
    if (!message.fatal) {
      if (this.owner.refused(error)) return;
      // The edge is there, the rest of the meeting is not: a snapshot of the roster ends this.
      if (error.code === "unavailable") this.#become("reconnecting");
      this.owner.error(error);
    } else if (error.retryable) this.#lost(error);
    else {
      this.owner.error(error);
      this.end(error.message);
    }
  }

  /** Asks anew after an await, where the compiler would remember an older answer. */
  #isOver(): boolean {
    return this.#state === "ended";
  }

  #become(state: MeetingState): void {
    if (this.#state === state || this.#state === "ended") return;
    this.#state = state;
    this.owner.state(state);
  }
}

function closeSession(session: Session): void {
  session.signalling.close();
  session.peer.close();
}
