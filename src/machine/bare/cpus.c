/* SPDX-License-Identifier: MIT */
/*
 * cpus.c - the local APICs: their timers, the interrupts between them, and the start of the others
 *
 * Two clocks are measured against the interval timer that every PC has: the time stamp counter, which all CPUs
 * share, and the local APIC's timer, which then ticks a thousand times a second on each CPU.
 */
#include "machine/bare/cpus.h"

#include "base/check.h"
#include "base/mem.h"
#include "machine/atomic.h"
#include "machine/bare/interrupts.h"
#include "machine/bare/threads.h"
#include "machine/bare/x86.h"
#include "machine/clock.h"

#define NS_PER_S    UINT64_C(1000000000)
#define TICKS_PER_S UINT64_C(1000)
#define MEASURE_MS  UINT64_C(20)

#define APIC_ADDRESS	UINT64_C(0xfee00000)
#define APIC_ID		0x20u
#define APIC_EOI	0xb0u
#define APIC_SPURIOUS	0xf0u
#define APIC_COMMAND	0x300u
#define APIC_TARGET	0x310u
#define APIC_TIMER	0x320u
#define APIC_TIMER_FROM 0x380u
#define APIC_TIMER_NOW	0x390u
#define APIC_TIMER_DIV	0x3e0u

#define APIC_ENABLE	    0x100u
#define APIC_TIMER_PERIODIC 0x20000u
#define APIC_TIMER_MASKED   0x10000u
#define APIC_TIMER_BY_16    0x3u
#define COMMAND_BUSY	    0x1000u
#define COMMAND_ASSERT	    0x4000u
#define COMMAND_INIT	    0x500u
#define COMMAND_STARTUP	    0x600u

/* The interval timer's third channel, and the port that gates it and shows its output. */
#define PIT_HZ	      UINT64_C(1193182)
#define PIT_CHANNEL_2 0x42u
#define PIT_COMMAND   0x43u
#define PIT_GATE      0x61u

/* Where boot.S says the others begin. */
#define AP_PAGE UINT64_C(0x8000)

#define AP_STACK_BYTES 16384u

extern const char ap_real[], ap_real_end[];
void *ap_stack;
void cpus_ap_main(void);

struct cpu cpus[CPUS_MAX];

static struct {
	unsigned nr; /* atomic: those that run */
	uint64_t begun_ticks;
	uint64_t ns_per_tick_32; /* nanoseconds in a tick of the time stamp counter, times 2^32 */
	uint32_t timer_from;
} machine;

static char ap_stacks[CPUS_MAX][AP_STACK_BYTES] __attribute__((aligned(16)));

static uint32_t apic_read(uint32_t at)
{
	return *(volatile uint32_t *)(APIC_ADDRESS + at);
}

static void apic_write(uint32_t at, uint32_t value)
{
	*(volatile uint32_t *)(APIC_ADDRESS + at) = value;
}

unsigned cpus_nr(void)
{
	return load_relaxed(&machine.nr);
}

uint64_t cpus_now_ns(void)
{
	unsigned __int128 ticks = clock_ticks() - machine.begun_ticks;

	return (uint64_t)(ticks * machine.ns_per_tick_32 >> 32);
}

/* ---- interrupts of others ---- */

static void command(uint32_t target, uint32_t what)
{
	apic_write(APIC_TARGET, target << 24);
	apic_write(APIC_COMMAND, what);
	while ((apic_read(APIC_COMMAND) & COMMAND_BUSY) != 0)
		pause_briefly();
}

/* The two registers belong together, so no handler may come between. */
void cpus_interrupt(const struct cpu *cpu, enum vector vector)
{
	uint64_t flags = interrupts_mask();

	command(cpu->apic_id, COMMAND_ASSERT | (uint32_t)vector);
	interrupts_restore(flags);
}

void cpus_end_of_interrupt(void)
{
	apic_write(APIC_EOI, 0);
}

/* ---- clocks ---- */

/* Until the channel, which counts down once, has reached 0. */
static void pit_wait(uint64_t ms)
{
	uint64_t count = PIT_HZ * ms / 1000;

	port_write8(PIT_GATE, (uint8_t)((port_read8(PIT_GATE) & 0xfcu) | 1u));
	port_write8(PIT_COMMAND, 0xb0);
	port_write8(PIT_CHANNEL_2, (uint8_t)count);
	port_write8(PIT_CHANNEL_2, (uint8_t)(count >> 8));
	while ((port_read8(PIT_GATE) & 0x20u) == 0)
		pause_briefly();
}

static void clocks_measure(void)
{
	uint64_t begun, ticks;
	uint32_t timer;

	apic_write(APIC_TIMER_DIV, APIC_TIMER_BY_16);
	apic_write(APIC_TIMER, APIC_TIMER_MASKED | VECTOR_TIMER);
	apic_write(APIC_TIMER_FROM, UINT32_MAX);
	begun = clock_ticks();
	pit_wait(MEASURE_MS);
	ticks = clock_ticks() - begun;
	timer = UINT32_MAX - apic_read(APIC_TIMER_NOW);
	machine.begun_ticks = begun;
	machine.ns_per_tick_32 = (MEASURE_MS * NS_PER_S / 1000 << 32) / ticks;
	machine.timer_from = (uint32_t)(timer * (1000 / MEASURE_MS) / TICKS_PER_S);
	CHECK_VALUES(ticks != 0 && machine.timer_from != 0, ticks, timer);
}

static void timer_begin(void)
{
	apic_write(APIC_TIMER_DIV, APIC_TIMER_BY_16);
	apic_write(APIC_TIMER, APIC_TIMER_PERIODIC | VECTOR_TIMER);
	apic_write(APIC_TIMER_FROM, machine.timer_from);
}

/* ---- the start ---- */

static void cpu_begin(unsigned number)
{
	struct cpu *cpu = &cpus[number];

	cpu->self = cpu;
	cpu->number = number;
	cpu->apic_id = apic_read(APIC_ID) >> 24;
	msr_write(MSR_GS_BASE, (uintptr_t)cpu);
	interrupts_begin();
	threads_begin_cpu(cpu);
	apic_write(APIC_SPURIOUS, APIC_ENABLE | VECTOR_SPURIOUS);
}

void cpus_begin(void)
{
	/* The old interrupt controllers have all lines masked: nothing here uses them. */
	port_write8(0x21, 0xff);
	port_write8(0xa1, 0xff);
	cpu_begin(0);
	clocks_measure();
	store_relaxed(&machine.nr, 1u);
	timer_begin();
}

void cpus_ap_main(void)
{
	unsigned number = load_relaxed(&machine.nr);

	cpu_begin(number);
	timer_begin();
	store_release(&machine.nr, number + 1); /* pairs with cpus_start_others() */
	threads_idle();
}

void cpus_start_others(unsigned nr)
{
	CHECK_VALUES(nr <= CPUS_MAX, nr, CPUS_MAX);
	memcpy((void *)AP_PAGE, ap_real, (size_t)(ap_real_end - ap_real));
	for (unsigned number = 1; number < nr; number++) {
		uint64_t end_ns;

		ap_stack = ap_stacks[number] + AP_STACK_BYTES;
		command(number, COMMAND_INIT | COMMAND_ASSERT);
		pit_wait(10);
		command(number, COMMAND_STARTUP | COMMAND_ASSERT | (uint32_t)(AP_PAGE >> 12));
		end_ns = cpus_now_ns() + 5 * NS_PER_S;
		while (load_acquire(&machine.nr) == number) { /* pairs with cpus_ap_main() */
			CHECK_VALUES(cpus_now_ns() < end_ns, number, nr);
			pause_briefly();
		}
	}
}
