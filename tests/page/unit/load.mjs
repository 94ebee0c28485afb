/*
 * Loads modules of the page into Node.js. They are modules by how the page loads them; for Node.js a file that ends in `.js` is
 * one only beside a package.json, which the page does not have. So they are copied beside one.
 *
 * In:  a name. Out: the module.
 */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const place = mkdtempSync(join(tmpdir(), 'portolan-unit-'));
cpSync(fileURLToPath(new URL('../../../crates/portolan-server/src/ui/', import.meta.url)), place, { recursive: true });
writeFileSync(join(place, 'package.json'), '{"type":"module"}');
process.on('exit', () => rmSync(place, { recursive: true, force: true }));

export const load = (name) => import(pathToFileURL(join(place, `${name}.js`)).href);
