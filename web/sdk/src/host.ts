import { MeshError } from "./errors";
import type { ClientMessage } from "./generated/ClientMessage";
import type { HostActionJson } from "./generated/HostActionJson";
import type { MemberRoleJson } from "./generated/MemberRoleJson";
import type { TrackKindJson } from "./generated/TrackKindJson";
import { sentence, type ServerMessageOf } from "./signalling";

/** An action that is not answered for so long has failed, ms: the origin may be on the other side of the world and just restarted. */
export const HOST_TIMEOUT_MS = 10_000;

/**
 * What a host does. Each resolves when the meeting has done it, and rejects with a {@link MeshError} that says why not. The edge
 * decides who may: what the page shows is a courtesy.
 */
export class HostActions {
  readonly #do: (action: HostActionJson) => Promise<void>;

  /** Made by a {@link Meeting}. */
  constructor(perform: (action: HostActionJson) => Promise<void>) {
    this.#do = perform;
  }

  /** Silences a microphone, turns off a camera, stops a shared screen. They may start it again. */
  mute(target: number, kind: TrackKindJson): Promise<void> {
    return this.#do({ do: "mute", target, kind });
  }

  /** Silences all microphones, or all but those of hosts. */
  muteAll(butHosts: boolean): Promise<void> {
    return this.#do({ do: "muteAll", butHosts });
  }

  /** Lowers one raised hand, or all. */
  lowerHand(target?: number): Promise<void> {
    return this.#do({ do: "lowerHand", ...(target === undefined ? {} : { target }) });
  }

  /** Sends somebody out; blocked, they may not come back. */
  remove(target: number, { block = false }: { readonly block?: boolean } = {}): Promise<void> {
    return this.#do({ do: "remove", target, block });
  }

  /** Promotes, demotes, or makes another one host too. */
  setRole(target: number, role: MemberRoleJson): Promise<void> {
    return this.#do({ do: "setRole", target, role });
  }

  /** Makes somebody else host and oneself a panelist. */
  handOver(target: number): Promise<void> {
    return this.#do({ do: "handOver", target });
  }

  /** Takes the host's role back: for those whose token grants it, see {@link Meeting.owner}. */
  reclaim(): Promise<void> {
    return this.#do({ do: "reclaim" });
  }

  /** Nobody else may join, or they may again. */
  lock(on: boolean): Promise<void> {
    return this.#do({ do: "lock", on });
  }

  /** Who joins must be admitted, or need not. */
  waitingRoom(on: boolean): Promise<void> {
    return this.#do({ do: "waitingRoom", on });
  }

  /** Only hosts may write, or everybody may. */
  lockChat(on: boolean): Promise<void> {
    return this.#do({ do: "lockChat", on });
  }

  /** Keeps one shared screen for everybody, whatever is shared later; none: the newest again. */
  pinShare(target?: number): Promise<void> {
    return this.#do({ do: "pinShare", ...(target === undefined ? {} : { target }) });
  }

  /** Lets one of those who wait in, or all. */
  admit(target?: number): Promise<void> {
    return this.#do({ do: "admit", ...(target === undefined ? {} : { target }) });
  }

  /** Sends one of those who wait away. */
  deny(target: number): Promise<void> {
    return this.#do({ do: "deny", target });
  }
}

interface Asked {
  readonly resolve: () => void;
  readonly reject: (error: MeshError) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** The host's actions that are not answered yet. */
export class HostRequests {
  readonly #asked = new Map<number, Asked>();
  #key = 0;

  constructor(private readonly send: (message: ClientMessage) => boolean) {}

  ask(action: HostActionJson): Promise<void> {
    this.#key = (this.#key + 1) >>> 0;
    const key = this.#key;
    return new Promise((resolve, reject) => {
      if (!this.send({ type: "host", key, action })) {
        reject(new MeshError("network", "The connection to the meeting server was lost. Try again when it is back."));
        return;
      }
      const timer = setTimeout(() => {
        this.#asked.delete(key);
        reject(new MeshError("timeout", "The meeting server did not answer in time. Try again."));
      }, HOST_TIMEOUT_MS);
      this.#asked.set(key, { resolve, reject, timer });
    });
  }

  settle({ key, refused }: ServerMessageOf<"done">): void {
    const asked = this.#asked.get(key);
    if (!asked) return;
    this.#asked.delete(key);
    clearTimeout(asked.timer);
    if (refused === undefined || refused === null) asked.resolve();
    else asked.reject(new MeshError("forbidden", sentence(refused)));
  }

  /** The socket is gone: nobody will answer. Nothing is said twice: it may have been done, and undone since. */
  abandon(error: MeshError): void {
    for (const asked of this.#asked.values()) {
      clearTimeout(asked.timer);
      asked.reject(error);
    }
    this.#asked.clear();
  }
}
