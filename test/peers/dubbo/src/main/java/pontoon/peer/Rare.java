package pontoon.peer;

import java.io.Serializable;
import java.time.Duration;
import java.time.Instant;
import java.time.MonthDay;
import java.time.OffsetDateTime;
import java.time.OffsetTime;
import java.time.Period;
import java.time.Year;
import java.time.YearMonth;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.LinkedList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.atomic.AtomicLong;

/** Types that only Hessian2 itself carries well: for direct calls, and generic ones with raw results. */
public class Rare implements Serializable {
    private static final long serialVersionUID = 1;
    private Instant instant;
    private ZonedDateTime zoned;
    private OffsetDateTime offsetDateTime;
    private OffsetTime offsetTime;
    private Year year;
    private YearMonth yearMonth;
    private MonthDay monthDay;
    private Duration duration;
    private Period period;
    private ZoneOffset zoneOffset;
    private UUID uuid;
    private Locale locale;
    private java.sql.Timestamp timestamp;
    private java.sql.Date sqlDate;
    private float[] singles;
    private short[] smalls;
    private boolean[] flags;
    private char[] letters;
    private LinkedList<Integer> linked;
    private TreeMap<String, Integer> tree;
    private AtomicLong counter;
    private List<Object> mixed;
    private Map<Object, Object> anyMap;

    public Instant getInstant() { return instant; }
    public void setInstant(Instant instant) { this.instant = instant; }
    public ZonedDateTime getZoned() { return zoned; }
    public void setZoned(ZonedDateTime zoned) { this.zoned = zoned; }
    public OffsetDateTime getOffsetDateTime() { return offsetDateTime; }
    public void setOffsetDateTime(OffsetDateTime offsetDateTime) { this.offsetDateTime = offsetDateTime; }
    public OffsetTime getOffsetTime() { return offsetTime; }
    public void setOffsetTime(OffsetTime offsetTime) { this.offsetTime = offsetTime; }
    public Year getYear() { return year; }
    public void setYear(Year year) { this.year = year; }
    public YearMonth getYearMonth() { return yearMonth; }
    public void setYearMonth(YearMonth yearMonth) { this.yearMonth = yearMonth; }
    public MonthDay getMonthDay() { return monthDay; }
    public void setMonthDay(MonthDay monthDay) { this.monthDay = monthDay; }
    public Duration getDuration() { return duration; }
    public void setDuration(Duration duration) { this.duration = duration; }
    public Period getPeriod() { return period; }
    public void setPeriod(Period period) { this.period = period; }
    public ZoneOffset getZoneOffset() { return zoneOffset; }
    public void setZoneOffset(ZoneOffset zoneOffset) { this.zoneOffset = zoneOffset; }
    public UUID getUuid() { return uuid; }
    public void setUuid(UUID uuid) { this.uuid = uuid; }
    public Locale getLocale() { return locale; }
    public void setLocale(Locale locale) { this.locale = locale; }
    public java.sql.Timestamp getTimestamp() { return timestamp; }
    public void setTimestamp(java.sql.Timestamp timestamp) { this.timestamp = timestamp; }
    public java.sql.Date getSqlDate() { return sqlDate; }
    public void setSqlDate(java.sql.Date sqlDate) { this.sqlDate = sqlDate; }
    public float[] getSingles() { return singles; }
    public void setSingles(float[] singles) { this.singles = singles; }
    public short[] getSmalls() { return smalls; }
    public void setSmalls(short[] smalls) { this.smalls = smalls; }
    public boolean[] getFlags() { return flags; }
    public void setFlags(boolean[] flags) { this.flags = flags; }
    public char[] getLetters() { return letters; }
    public void setLetters(char[] letters) { this.letters = letters; }
    public LinkedList<Integer> getLinked() { return linked; }
    public void setLinked(LinkedList<Integer> linked) { this.linked = linked; }
    public TreeMap<String, Integer> getTree() { return tree; }
    public void setTree(TreeMap<String, Integer> tree) { this.tree = tree; }
    public AtomicLong getCounter() { return counter; }
    public void setCounter(AtomicLong counter) { this.counter = counter; }
    public List<Object> getMixed() { return mixed; }
    public void setMixed(List<Object> mixed) { this.mixed = mixed; }
    public Map<Object, Object> getAnyMap() { return anyMap; }
    public void setAnyMap(Map<Object, Object> anyMap) { this.anyMap = anyMap; }
}
