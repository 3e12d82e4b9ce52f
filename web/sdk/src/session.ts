import { MeshError } from "./errors";
import type { ServerMessage } from "./generated/ServerMessage";
import { JOIN_TIMEOUT_MS, type JoinOptions } from "./options";
import type { Peer } from "./peer";
import { SIGNAL_VERSION, Signalling, refusal, type OpenSocket, type ServerMessageOf, type SignallingHandlers } from "./signalling";

/** One stay at one edge: a signalling socket and a peer. */
export interface Session {
  readonly url: string;
  readonly signalling: Signalling;
  readonly peer: Peer;
  readonly joined: ServerMessageOf<"joined">;
  /** From now on the handlers are called; what came before is told first, in its order. */
  release(): void;
}

/** What makes a session; tests put fakes at this boundary. */
export interface SessionParts {
  readonly newPeer: () => Peer;
  readonly openSocket?: OpenSocket | undefined;
}

/**
 * Joins at an edge. The socket opens and the offer is made while `ready` (the devices) is on its way; nobody is in the
 * roster before it is there. An edge closes a socket that stays silent while a person thinks about a permission: then
 * another one is opened.
 */
export async function openSession(
  url: string,
  options: JoinOptions,
  parts: SessionParts,
  handlers: SignallingHandlers,
  ready: Promise<void> = Promise.resolve(),
  signal?: AbortSignal,
): Promise<Session> {
  const timeoutMs = options.timeoutMs ?? JOIN_TIMEOUT_MS;
  const open = (): Promise<Line> => openLine(url, timeoutMs, parts.openSocket, handlers);
  const peer = parts.newPeer();
  let line = open();
  // Whoever changes their mind says goodbye, so that no host admits somebody who has gone.
  const abort = (): void => void line.then(({ signalling }) => (signalling.send({ type: "leave" }), signalling.close()), () => {});
  signal?.addEventListener("abort", abort);
  try {
    if (signal?.aborted) throw left();
    const [first, sdp] = await Promise.all([line, peer.offer(), ready]);
    if (!first.signalling.isOpen) line = open();
    const { signalling, release, refused } = await line;
    if (signal?.aborted) throw left();
    const { token, name } = options;
    const publish = peer.publishLines();
    const named = name === undefined ? {} : { name };
    const joined = await signalling.request(
      { type: "join", version: SIGNAL_VERSION, token, ...named, sdp, publish },
      "joined",
      timeoutMs,
    );
    await peer.accept(joined.sdp);
    const refusal = refused();
    if (refusal) throw refusal;
    return { url, signalling, peer, joined, release };
  } catch (cause) {
    peer.close();
    void line.then(
      ({ signalling }) => signalling.close(),
      () => {},
    );
    if (signal?.aborted) throw left();
    throw cause instanceof MeshError ? cause : new MeshError("sdp", `The media connection failed: ${String(cause)}`);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

function left(): MeshError {
  return new MeshError("ended", "You left before you were in the meeting.");
}

/** An open socket whose messages are held until somebody can take them. */
interface Line {
  readonly signalling: Signalling;
  release(): void;
  /** Why the edge has closed it meanwhile. */
  refused(): MeshError | undefined;
}

async function openLine(
  url: string,
  timeoutMs: number,
  openSocket: OpenSocket | undefined,
  handlers: SignallingHandlers,
): Promise<Line> {
  const held: ServerMessage[] = [];
  let released = false;
  // A refusal right after the answer, such as a block that the edge did not know of, is the end and no lost connection.
  let refused: MeshError | undefined;
  const holding: SignallingHandlers = {
    message: (message) => {
      if (released) return handlers.message(message);
      if (message.type === "error" && message.fatal) refused ??= refusal(message);
      held.push(message);
    },
    closed: (error) => (released ? handlers.closed(error) : void (refused ??= error)),
    // The one thing that is told before the answer.
    waiting: () => handlers.waiting?.(),
  };
  const signalling = await Signalling.open(url, holding, timeoutMs, openSocket);
  const release = (): void => {
    released = true;
    for (const message of held.splice(0)) handlers.message(message);
    if (!signalling.isOpen) handlers.closed(refused ?? new MeshError("network", "The connection to the meeting server was lost."));
  };
  return { signalling, release, refused: () => refused };
}
