// A real SMTP server for the tests (nodemailer's smtp-server). It prints a line of JSON with its
// port, and then one for each mail that it took.
//
//   node end2end/smtp-server.mjs '{"mode": "ok", "cert": "…", "key": "…", "secure": false, "user": "u", "pass": "p"}'
//
// deferred: a recipient who is told to come later, whatever the mode; refused: one who is refused for good.
// mode: ok; refuse (the recipient is refused for good); busy (not now); slow (no answer to the
// mail's text); die (it takes the mail, and closes before it says so).

import { readFileSync } from 'node:fs';
import { SMTPServer } from 'smtp-server';

const options = JSON.parse(process.argv[2] ?? '{}');
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const failure = (code, text) => Object.assign(new Error(text), { responseCode: code });
const tls = options.cert && { cert: readFileSync(options.cert), key: readFileSync(options.key) };

const server = new SMTPServer({
    ...tls,
    secure: Boolean(options.secure),
    disabledCommands: [...(tls ? [] : ['STARTTLS']), ...(options.user ? [] : ['AUTH'])],
    authOptional: !options.user,
    disableReverseLookup: true,
    closeTimeout: 100,
    onAuth(auth, _session, done) {
        const isRight = auth.username === options.user && auth.password === options.pass;
        done(isRight ? null : failure(535, 'wrong user or password'), { user: auth.username });
    },
    onRcptTo({ address }, _session, done) {
        if (address === options.refused) return done(failure(550, 'no such mailbox'));
        if (address === options.deferred) return done(failure(451, 'try again later'));
        if (options.mode === 'refuse') return done(failure(550, 'no such mailbox'));
        if (options.mode === 'busy') return done(failure(451, 'try again later'));
        done();
    },
    onData(stream, session, done) {
        const parts = [];
        stream.on('data', (part) => parts.push(part));
        stream.on('end', () => {
            if (options.mode === 'slow') return;
            print({
                from: session.envelope.mailFrom.address,
                to: session.envelope.rcptTo.map((to) => to.address),
                secure: session.secure,
                user: session.user ?? null,
                text: Buffer.concat(parts).toString(),
            });
            if (options.mode === 'die') return process.exit(0);
            done(null, 'taken');
        });
    },
});
server.on('error', (error) => process.stderr.write(`${error}\n`));
server.listen(options.port ?? 0, '127.0.0.1', () => print({ port: server.server.address().port }));
// It ends with what started it.
process.stdin.on('end', () => process.exit(0)).resume();
