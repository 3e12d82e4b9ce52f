// Starts a whole mesh of real processes (`mesh dev`) for a test, and ends it.
import { execFile, spawn } from "node:child_process";
import { createPrivateKey, sign } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);

/** The binary under test; `MESH_BIN` overrides it. */
export const MESH_BIN = process.env.MESH_BIN ?? fileURLToPath(new URL("../../../target/ci/mesh", import.meta.url));

/** How long a mesh may take to be ready on a busy machine. */
const READY_MS = 60_000;

/**
 * The mesh's token key. It is a PKCS #8 of version 2, with the public key behind the private one (RFC 5958), which OpenSSL 3.0 does not
 * read: the 32 bytes of the private one are put into a version 1.
 */
function signingKey(pem) {
  const der = Buffer.from(pem.replace(/-----.*?-----|\s/g, ""), "base64");
  const at = der.indexOf(Buffer.from("04220420", "hex")) + 4;
  const head = Buffer.from("302e020100300506032b657004220420", "hex");
  return createPrivateKey({ key: Buffer.concat([head, der.subarray(at, at + 32)]), format: "der", type: "pkcs8" });
}

/**
 * @param {string[]} [flags] more flags of `mesh dev`
 * @returns {Promise<object>} the banner's JSON, and: `link(region, edge?)`, `meeting(flags)`, `shard(node)`, `wanBytes()`, `mesh(...args)`, `stop()`
 */
export async function startMesh(flags = []) {
  const stateDir = await mkdtemp(join(tmpdir(), "mesh-"));
  const args = ["dev", "--http-base", "0", "--json", "--state-dir", stateDir, ...flags];
  const child = spawn(MESH_BIN, args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (data) => (said += data));
  const banner = await new Promise((resolve, reject) => {
    let out = "";
    const late = setTimeout(() => reject(new Error(`mesh dev not ready within ${READY_MS} ms: ${said}`)), READY_MS);
    child.on("exit", (code) => reject(new Error(`mesh dev ended with ${code}: ${said}`)));
    child.stdout.on("data", (data) => {
      out += data;
      const end = out.indexOf("\n");
      if (end < 0) return;
      clearTimeout(late);
      resolve(JSON.parse(out.slice(0, end)));
    });
  }).catch(async (error) => {
    child.kill("SIGKILL");
    await rm(stateDir, { recursive: true, force: true });
    throw error;
  });
  child.removeAllListeners("exit");
  const json = async (url) => (await fetch(url)).json();
  const self = {
    ...banner,
    stateDir,
    /** What the supervisor wrote beside its banner. */
    said: () => said,
    /** The meeting link of a region. */
    link: (region) => banner.meeting.links.find((l) => l.region === region).url,
    /** A link of another meeting in a region. */
    linkOf: (meeting, region) => meeting.links.find((l) => l.region === region).url,
    /**
     * A link with an invitation of one's own, signed here with the mesh's key: `sub` tells one person from another (`mesh token` has
     * none), whatever of `{publish, subscribe, chat, host}` is said wins over what a participant may.
     */
    async invite(meeting, region, { name, ...grants } = {}) {
      const exp = Math.floor(Date.now() / 1_000) + 3_600;
      const granted = { publish: true, subscribe: true, chat: true, host: false, ...grants };
      const claims = { aud: "mesh-join", exp, meeting: meeting.meeting, sub: `test|${name}`, grants: granted, ...(name && { name }) };
      const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
      const body = `${part({ alg: "EdDSA", typ: "JWT" })}.${part(claims)}`;
      const key = signingKey(await readFile(join(stateDir, "token.key"), "utf8"));
      return self.linkOf(meeting, region).replace(meeting.token, `${body}.${sign(null, Buffer.from(body), key).toString("base64url")}`);
    },
    /** The same link through another edge of its region. */
    through: (link, name) => link.replace(new URL(link).origin, banner.nodes.find((n) => n.name === name).url),
    /** Creates a meeting: `{id, token, links}`. */
    async meeting(...flags) {
      return JSON.parse(await self.mesh("meeting", "create", "--json", ...flags));
    },
    /** Emulated milliseconds one way between two regions. */
    oneWayMs(a, b) {
      const pair = banner.wan.find((p) => (p.from === a && p.to === b) || (p.from === b && p.to === a));
      return pair ? pair.rttMs / 2 : 0;
    },
    kill: (name) => self.mesh("dev", "kill", name),
    start: (name) => self.mesh("dev", "start", name),
    /** Runs the binary beside this mesh; resolves to its standard output. */
    mesh: async (...words) => (await run(MESH_BIN, [...words, "--state-dir", stateDir])).stdout,
    node: (name) => banner.nodes.find((n) => n.name === name),
    /** `/debug/shard` of a node. */
    shard: (name) => json(`${self.node(name).url}/debug/shard`),
    /** Counters of the emulated network. */
    wan: () => json(`${banner.control}/wan`),
    async stop() {
      const ended = new Promise((resolve) => child.on("exit", resolve));
      child.kill("SIGINT");
      const hard = setTimeout(() => child.kill("SIGKILL"), 10_000);
      if (child.exitCode === null) await ended;
      clearTimeout(hard);
      await rm(stateDir, { recursive: true, force: true });
    },
  };
  return self;
}
