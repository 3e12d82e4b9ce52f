// Where the pictures of named states are kept.
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** docs/shots; `MESH_SHOTS` names another folder. */
export const SHOTS = process.env.MESH_SHOTS ?? fileURLToPath(new URL("../../../docs/shots", import.meta.url));
mkdirSync(SHOTS, { recursive: true });
