import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// The page is served from the binary at `/` and `/m/<meeting>`, so addresses of assets are absolute. Nothing is inlined:
// the content security policy of the edge allows scripts and styles from itself only.
export default defineConfig({
  base: "/",
  plugins: [svelte()],
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
});
