// Serves a folder over http://localhost, which browsers treat as secure; `/m/<meeting>` is the page, as on an edge.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };

/** The policy an edge without others sets (mesh/src/node/web.rs), so that a page that would break there breaks here. */
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
  + "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** @returns {Promise<{origin: string, close: () => Promise<void>}>} */
export async function serve(folder, { policy = true } = {}) {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url, "http://localhost").pathname;
    // Browsers ask for it unasked; a page that names none is not broken.
    if (path === "/favicon.ico") return void response.writeHead(204).end();
    const file = path === "/" || path.startsWith("/m/") ? "index.html" : normalize(path).replace(/^(\.\.[/\\])+/, "");
    try {
      const body = await readFile(join(folder, file));
      // The policy an edge sets, so that a page that would break there breaks here.
      response.writeHead(200, {
        "content-type": TYPES[extname(file)] ?? "application/octet-stream",
        ...(policy && { "content-security-policy": POLICY }),
      });
      response.end(body);
    } catch {
      response.writeHead(404, { "content-type": "text/html" });
      response.end("<!doctype html><title>not found</title>");
    }
  });
  await new Promise((resolve) => server.listen(0, "localhost", resolve));
  return {
    origin: `http://localhost:${server.address().port}`,
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}
