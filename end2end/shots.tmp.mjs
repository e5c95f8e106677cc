import { chromium } from '@playwright/test';
const base = 'http://localhost:8085';
const b = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
const name = 'shot' + (Date.now() % 100000);
const ctx = await b.newContext();
const p = await ctx.newPage();
p.on('pageerror', e => console.log('PAGEERROR', e.message));
p.on('console', m => { if (m.type() === 'error') console.log('CONSOLE', m.text()); });
await p.goto(base); await p.screenshot({ path: '/tmp/w/shots/landing.png', fullPage: true });
await p.goto(base + '/sign-up');
await p.fill('input[name=name]', name); await p.fill('input[name=password]', 'correct horse battery staple');
await p.click('button[type=submit]');
await p.waitForURL(u => u.hostname.startsWith(name), { timeout: 60000 });
await p.waitForTimeout(8000);
console.log(p.url());
const home = `http://${name}.localhost:8085`;
await p.goto(home + '/devices/new');
await p.fill('input[name=label]', 'Phone');
await p.click('button[type=submit]');
await p.waitForTimeout(2500); console.log(p.url());
const state = await ctx.storageState();
for (const [w, h, n] of [[1280, 900, 'desk'], [390, 844, 'phone']]) for (const c of ['light', 'dark']) {
  const x = await b.newContext({ viewport: { width: w, height: h }, colorScheme: c, storageState: state });
  const q = await x.newPage();
  for (const [path, f] of [['/', 'home'], ['/events', 'events'], ['/devices', 'devices'], ['/devices/1', 'device']]) {
    await q.goto(home + path); await q.waitForTimeout(900);
    await q.screenshot({ path: `/tmp/w/shots/${f}-${n}-${c}.png`, fullPage: true });
  }
  await x.close();
}
await b.close();
