import { MeshError } from "./errors";
import { JOIN_TIMEOUT_MS, type JoinOptions } from "./options";
import type { Peer } from "./peer";
import { SIGNAL_VERSION, Signalling, type OpenSocket, type ServerMessageOf, type SignallingHandlers } from "./signalling";

/** One stay at one edge: a signalling socket and a peer. */
export interface Session {
  readonly url: string;
  readonly signalling: Signalling;
  readonly peer: Peer;
  readonly joined: ServerMessageOf<"joined">;
}

/** What makes a session; tests put fakes at this boundary. */
export interface SessionParts {
  readonly newPeer: () => Peer;
  readonly openSocket?: OpenSocket | undefined;
}

/**
 * Joins at an edge. The socket opens and the offer is made at the same time; `ready` (the devices) may still be on its
 * way too, and nobody is in the roster before it is there.
 */
export async function openSession(
  url: string,
  options: JoinOptions,
  parts: SessionParts,
  handlers: SignallingHandlers,
  ready: Promise<void> = Promise.resolve(),
): Promise<Session> {
  const timeoutMs = options.timeoutMs ?? JOIN_TIMEOUT_MS;
  const peer = parts.newPeer();
  const opening = Signalling.open(url, handlers, timeoutMs, parts.openSocket);
  try {
    const [signalling, sdp] = await Promise.all([opening, peer.offer(), ready]);
    const { token, name } = options;
    const publish = peer.publishLines();
    const named = name === undefined ? {} : { name };
    const joined = await signalling.request(
      { type: "join", version: SIGNAL_VERSION, token, ...named, sdp, publish },
      "joined",
      timeoutMs,
    );
    await peer.accept(joined.sdp);
    return { url, signalling, peer, joined };
  } catch (cause) {
    peer.close();
    void opening.then(
      (signalling) => signalling.close(),
      () => {},
    );
    throw cause instanceof MeshError ? cause : new MeshError("sdp", `The media connection failed: ${String(cause)}`);
  }
}
