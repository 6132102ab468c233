// Bundles the browser's driver into one script: node build.mjs FILE.
import { build } from 'esbuild';

await build({ entryPoints: ['browser.mjs'], bundle: true, format: 'esm', target: 'es2022', keepNames: true, outfile: process.argv[2], logLevel: 'error' });
