"""The lab: a real PBX with people in it, and real servers, for the tests and the demo. Needs no root and no containers.

    obtain ──▶ asterisk ──▶ calls ◀── phones ◀── sip
                              ▲          ▲
    servers               plan, company ─┘ ──▶ simulated (simulated_switch, simulated_ami)

- `obtain`: where Asterisk and SIPp come from: installed, cached, or unpacked from Debian packages.
- `asterisk`: one Asterisk in one folder, with the shipped files of asterisk-conf/: start, stop, kill, freeze, console.
- `sip`, `phones`: a small SIP user agent, and the people: callers and employees who behave as a call's plan says.
- `plan`, `company`: what a call shall be (`CallPlan`, `Outcome`), what it was (`Truth`), and who works where.
- `calls`: `AsteriskLab`, an Asterisk with its phones: `place(plan)` plays a call and returns the truth.
- `ports`, `cable`: ports that stay free; a TCP cable that may be cut, go dead or be slow.
- `load`: many calls at a rate, played by SIPp.
- `simulated`: a PBX for machines where no Asterisk can be had: real AMI and FastAGI sockets, imagined people.
- `servers`: PostgreSQL, Valkey and a Valkey cluster from wheels.

In: a plan. Out: calls on a PBX that the software under test follows, and the truth to compare it with.
"""
